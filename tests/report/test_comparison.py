"""Figure 2, its selection of slices, histograms, and files."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantk.api.relation import histogram
from gantk.errors import EvaluationError, UsageError
from gantk.evaluation.examples import Examples
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.report.comparison import Shown, combine, draw_comparison
from gantk.report.distributions import draw_distributions
from gantk.report.saving import save_figure
from gantk.report.selection import SliceName, select
from gantk.tables.paper import result_table

COLUMNS = {"ssim": Column("SSIM", "image", True), "ssim_tumour": Column("SSIM", "tumour", True)}


def write_run(folder: Path, examples: Examples, seed: int = 0, *, crop: int = 48, better: float = 0.0) -> Path:
    """A run with two roles, three patients and the example slices of a brain."""
    (folder / "evaluation").mkdir(parents=True)
    text = f'name = "{folder.name}"\npredict = "student"\n[run]\nseed = {seed}\n[data]\ncrop = [{crop}, 40]\n'
    (folder / "recipe.toml").write_text(text + "[translators.teacher]\n[translators.student]\n")
    (folder / "status.json").write_text('{"state": "finished", "seconds": 75.0}')
    examples.save(folder / "evaluation" / "examples.npz")
    rows = [
        Row(f"p{i}", method, 4, {"ssim": base + better + i / 50, "ssim_tumour": base / 2})
        for i in range(3)
        for method, base in (("teacher", 0.6), ("student", 0.7), ("input:t1", 0.5))
    ]
    Evaluation("5plit", "5e771n65", COLUMNS, rows).write(folder / "evaluation")
    return folder


@pytest.fixture
def shown(examples: Examples) -> dict[str, Shown]:
    return {role: Shown.of(examples, 0, role) for role in ("teacher", "student")}


def images_of(figure) -> list[tuple[np.ndarray, tuple[float, float]]]:
    return [(image.get_array(), image.get_clim()) for axes in figure.axes for image in axes.images]


def test_every_image_has_its_place_in_one_window(shown):
    figure = draw_comparison(combine("p, slice 3", shown))
    pictures = [(a, c) for a, c in images_of(figure) if a.shape[0] > 1]
    # two inputs, then target, synthesis and error of two methods, each with its zoom
    assert len(pictures) == 2 * (2 + 3 * 2)
    assert {clim for _, clim in pictures} == {(-1.0, 1.0), (0.0, 0.3)}
    errors = [array for array, clim in pictures if clim == (0.0, 0.3)]
    assert errors[0].max() == pytest.approx(0.35)  # a disc of 0.2 where 0.9 should be
    assert errors[2].max() == pytest.approx(0.25)
    assert errors[1].size < errors[0].size
    assert errors[1].max() == errors[0].max()
    texts = {text.get_text() for text in figure.texts}
    assert {"p, slice 3", "t1", "t2", "target", "synthesis", "|synthesis − target|", "teacher", "student"} <= texts
    assert sum(axes.get_xlabel() == "absolute error" for axes in figure.axes) == 2


def test_without_a_tumour_there_is_no_right_half(shown):
    bare = {label: replace(one, segmentation=np.zeros_like(one.segmentation)) for label, one in shown.items()}
    figure = draw_comparison(combine("p", bare))
    assert len([a for a, _ in images_of(figure) if a.shape[0] > 1]) == 2 + 3 * 2
    assert figure.get_figwidth() < draw_comparison(combine("p", shown)).get_figwidth() / 1.7


def test_what_is_not_one_image_is_refused(shown):
    moved = replace(shown["student"], target=np.roll(shown["student"].target, 3, axis=1))
    with pytest.raises(EvaluationError, match=r"the target of student is up to 0\.\d+ from that of teacher"):
        combine("p", shown | {"student": moved})
    small = replace(shown["student"], target=shown["student"].target[:-2])
    with pytest.raises(EvaluationError, match=r"\d+ × \d+ pixels in teacher, \d+ × \d+ in student"):
        combine("p", shown | {"student": small})


def test_a_hidden_input_is_taken_from_the_run_that_saw_it(shown):
    blind = replace(shown["teacher"], inputs={"t1": np.full_like(shown["teacher"].target, -1)})
    found = combine("p", {"teacher": blind, "student": shown["student"]})
    assert found.inputs.keys() == {"t1", "t2"}
    assert found.inputs["t1"].max() > 0


def test_files_keep_their_text_and_do_not_depend_on_the_day(shown, tmp_path):
    for name in ("a.png", "b.png", "a.pdf", "b.pdf"):
        save_figure(draw_comparison(combine("Patient7, slice 3", shown)), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 1500
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf  # TrueType, so that text stays text
    streams = [zlib.decompress(s) for s in re.findall(rb"FlateDecode >>\nstream\n(.*?)\nendstream", pdf, re.DOTALL)]
    assert any(b"BT" in stream and b"Tf" in stream for stream in streams)
    with pytest.raises(UsageError, match=r"\.png or \.pdf"):
        save_figure(draw_comparison(combine("p", shown)), tmp_path / "a.gif")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]


def test_shared_slices_by_the_size_of_their_tumour(tmp_path, examples):
    examples.segmentation = examples.segmentation.copy()
    examples.segmentation[1, :20] = 2
    one = write_run(tmp_path / "one", examples)
    chosen = select(result_table([one]), [one])
    assert [str(name) for name in chosen.ranked()] == [examples.titles[1], examples.titles[0]]
    other = write_run(tmp_path / "other", replace(examples, titles=[examples.titles[0], "P, slice 5"]))
    both = select(result_table([one, other]), [one, other])
    assert [str(name) for name in both.ranked()] == examples.titles[:1]
    assert [method.label for method in both.methods] == ["one", "other"]
    assert both.find(both.methods[0], SliceName("P", 5)) is None
    assert both.find(both.methods[1], SliceName("P", 5)).target.shape == examples.target.shape[1:]


def test_other_geometry_is_refused_with_the_reason(tmp_path, examples):
    folders = [write_run(tmp_path / "one", examples), write_run(tmp_path / "other", examples, crop=64)]
    with pytest.raises(EvaluationError, match=r"data.crop is 48 × 40 in one, 64 × 40 in other"):
        select(result_table(folders), folders)


def test_runs_that_are_named_are_rows_and_seeds_of_a_sweep_are_not(tmp_path, examples):
    folders = [write_run(tmp_path / f"s{seed}" / "r", examples, seed) for seed in (3, 5)]
    table = result_table(folders)
    assert len([row for row in table.rows if not row.baseline]) == 1
    assert [m.label for m in select(table, folders).methods] == ["r, seed 3", "r, seed 5"]
    assert [m.folder for m in select(table).methods] == folders[:1]
    assert [m.folder for m in select(table, seed=5).methods] == folders[1:]
    with pytest.raises(UsageError, match=r"no seed 4.*choose one of 3, 5"):
        select(table, seed=4)


def test_histograms_count_every_patient(tmp_path, examples):
    folder = write_run(tmp_path / "one", examples)
    table = result_table([folder], roles=["teacher", "student"])
    figure = draw_distributions(table)
    assert len(figure.axes) == len(table.rows) * len(table.columns)
    counts = [sum(patch.get_height() for patch in axes.patches) for axes in figure.axes]
    assert counts == [3] * len(figure.axes)
    by_column = [figure.axes[: len(table.rows)], figure.axes[len(table.rows) :]]
    assert all(len({axes.get_xlim() for axes in group}) == 1 for group in by_column)
    assert "baseline/input:t1" in {text.get_text() for text in figure.texts}


def test_histograms_leave_out_who_has_no_value(tmp_path, examples):
    folder = write_run(tmp_path / "one", examples)
    whole = Evaluation.read(folder / "evaluation")
    rows = [replace(r, values=r.values | {"ssim": math.nan}) if r.method == "input:t1" else r for r in whole.rows]
    Evaluation(whole.split, whole.settings, whole.columns, rows).write(folder / "evaluation")
    one, both = (
        {text.get_text() for text in draw_distributions(result_table([folder], regions=regions)).texts}
        for regions in (["image"], ["image", "tumour"])
    )
    assert "baseline/input:t1" in both
    assert both - one == {"baseline/input:t1", "whole image", "tumour", "SSIM tumour ↑"}
    empty = [replace(r, values=dict.fromkeys(r.values, math.nan)) for r in whole.rows]
    Evaluation(whole.split, whole.settings, whole.columns, empty).write(folder / "evaluation")
    with pytest.raises(EvaluationError, match="no patient has a value of ssim"):
        histogram([folder], tmp_path / "x.png", metric="ssim")
