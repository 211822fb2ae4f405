"""`gantk figure`, from folders to files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gantk.api.figure import compare_slices
from gantk.cli.main import app
from gantk.data.split import Split
from gantk.evaluation.examples import Examples
from gantk.evaluation.results import Column, Evaluation, Row

COLUMNS = {"ssim": Column("SSIM", "image", True), "ssim_brain": Column("SSIM", "brain", True)}
PATIENTS = ("Pa", "Pb", "Pc")


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["figure", *map(str, arguments)])


def make_run(folder: Path, seed: int = 0, spacing: float = 2.0, shift: int = 0) -> Path:
    """A run with one example slice of each of two patients; the second one's tumour is larger."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[:24, :20]
    image = np.where(np.hypot(y - 12, x - 10) < 9, (x + y) / 22 - 1, -1).astype(np.float32)
    target = np.roll(np.stack([image, -image * (image > -1) - (image <= -1)]), shift, axis=1).astype(np.float32)
    labels = np.zeros((2, 24, 20), np.uint8)
    labels[0, 10:13, 8:11] = 4
    labels[1, 8:15, 6:13] = 4
    titles = ["Pa, slice 7", "Pb, slice 9"]
    outputs = {"g": target * np.float32(0.9)}
    Examples({"t1": np.stack([image, image])}, target, outputs, {}, labels, titles).save(
        folder / "evaluation" / "examples.npz"
    )
    text = f'name = "{folder.name.split("-")[0]}"\n[run]\nseed = {seed}\n[data]\nspacing = {spacing}\n[translators.g]\n'
    (folder / "recipe.toml").write_text(text)
    rows = [
        Row(p, m, 3, dict.fromkeys(COLUMNS, v + i / 20))
        for i, p in enumerate(PATIENTS)
        for m, v in (("g", 0.6), ("training_mean", 0.3))
    ]
    Evaluation("s", "e", COLUMNS, rows).write(folder / "evaluation")
    return folder


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`runs/abl`, a sweep of one variant and two seeds, and `runs/own`, a run."""
    monkeypatch.chdir(tmp_path)
    children = [
        {"id": f"full-{s}", "variant": "full", "changes": {"run.seed": s}, "label": "Full"} for s in (1, 2)
    ]  # fmt: skip
    for child in children:
        make_run(tmp_path / "runs" / "abl" / "children" / str(child["id"]), child["changes"]["run.seed"])
    (tmp_path / "runs" / "abl" / "sweep.json").write_text(json.dumps({"name": "abl", "children": children}))
    (tmp_path / "runs" / "abl" / "recipe.toml").write_text('name = "abl"\n[sweep]\n"run.seed" = [1, 2]\n')
    make_run(tmp_path / "runs" / "own")
    return tmp_path / "runs"


def test_the_largest_tumour_is_drawn(runs, tmp_path):
    result = call("abl", "own")
    assert result.exit_code == 0, result.stderr
    assert "wrote figure.png: Pb, slice 9, 2 methods" in result.stderr
    assert result.stdout == ""
    with Image.open(tmp_path / "figure.png") as image:
        assert image.width > image.height


def test_patient_slice_seed_and_format(runs, tmp_path):
    (tmp_path / "out").mkdir()
    result = call("abl", "--patient", "Pa", "--slice", 7, "--seed", 2, "-o", "out/fig2.pdf")
    assert result.exit_code == 0, result.stderr
    assert "Pa, slice 7, 1 methods" in result.stderr
    assert (tmp_path / "out" / "fig2.pdf").read_bytes().startswith(b"%PDF")


def test_violins(runs, tmp_path):
    assert call("abl", "own", "--violin", "ssim", "-o", "all.png").exit_code == 0
    assert call("abl", "own", "--violin", "SSIM", "--region", "brain", "-o", "one.png").exit_code == 0
    with Image.open(tmp_path / "all.png") as wide, Image.open(tmp_path / "one.png") as narrow:
        assert wide.height == narrow.height
        assert wide.width > narrow.width


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["own", "-o", "x.gif"], 2, ".png or .pdf"),
        (["own", "-o", "nowhere/x.png"], 2, "nowhere: there is no such folder"),
        (["own", "--slice", "7"], 2, "a slice needs a patient"),
        (["own", "--patient", "Px"], 2, "'Px' is not a test patient of own"),
        (["own", "--violin", "psnr"], 2, "no metric 'psnr'"),
        (["own", "--violin", "ssim", "--patient", "Pa"], 2, "covers all patients"),
        (["own", "--region", "brain"], 2, "--violin"),
        (["abl", "--seed", "5"], 2, "has no seed 5"),
        (["nothing"], 2, "there is no run 'nothing'"),
    ],
)
def test_refused(runs, tmp_path, arguments, code, said):
    before = sorted(tmp_path.rglob("*"))
    result = call(*arguments)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("patient", "said"),
    [
        ("Pd", "'Pd' is not a test patient of own; it was trained on; name a patient that all"),
        ("Pe", "it was trained on"),
        ("Pv", "it was used for validation"),
        ("Pzz", "'Pzz' is not a test patient of own; known: Pa, Pb, Pc."),
    ],
)
def test_a_patient_who_was_trained_on_is_no_slip_of_the_pen(runs, patient, said):
    Split(("Pd",), ("Pe",), ("Pv",), PATIENTS).to_csv(runs / "own" / "split.csv")
    refused = call("own", "--patient", patient)
    assert refused.exit_code == 2
    assert said in " ".join(refused.stderr.split())


def test_variants_of_one_label_are_both_drawn(runs):
    make_run(runs / "abl" / "children" / "bare-1", 1)
    head = json.loads((runs / "abl" / "sweep.json").read_text())
    head["children"].append({"id": "bare-1", "variant": "bare", "changes": {"run.seed": 1}, "label": "Full"})
    (runs / "abl" / "sweep.json").write_text(json.dumps(head))
    recipe = (
        'name = "abl"\n[variants.full]\nlabel = "Full"\n[variants.bare]\nlabel = "Full"\n[sweep]\n"run.seed" = [1, 2]\n'
    )
    (runs / "abl" / "recipe.toml").write_text(recipe)
    result = call("abl")
    assert result.exit_code == 0, result.stderr
    assert "2 methods" in result.stderr
    assert list(compare_slices([runs / "abl"]).outputs) == ["Full (full)", "Full (bare)"]


def test_runs_of_other_geometry_or_data_are_refused(runs):
    make_run(runs / "coarse", spacing=4.0)
    refused = call("own", "coarse")
    assert refused.exit_code == 1
    assert "data.spacing is 2.0 in own, 4.0 in coarse" in " ".join(refused.stderr.split())
    make_run(runs / "moved", shift=2)
    refused = call("own", "moved")
    assert refused.exit_code == 1
    assert "Pb, slice 9 is not the same image in all runs" in " ".join(refused.stderr.split())
