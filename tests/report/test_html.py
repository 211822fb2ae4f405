"""The report page of a synthetic run."""

import re
from pathlib import Path

import pytest

from gantk.errors import EvaluationError
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.report.html import write_report
from page import Page


def test_everything_is_there(run: Path):
    path = write_report(run)
    assert path == run / "report.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.sections == ["results", "slices", "weights", "curves", "panels", "patients", "recipe"]
    assert page.best == ["0.810 ± 0.010", "0.200 ± 0.000"]  # only one method has a value for the tumor
    for fact in ("demo &amp; more", "finished", "1,200", "1 h 02 min", "0123456789 + uncommitted", "5plit", "5e771n65"):
        assert fact in text, fact
    assert "baseline/<wbr>input:t1" in text  # a phone breaks it there
    assert "Only runs with the same test patients and evaluation settings can be compared" in text  # not the same split
    assert "<td>0.750</td><td>0.250</td><td>3.00</td>" in text
    assert text.count('data-value="20"') == 3
    assert [p.name for p in run.iterdir() if "partial" in p.name] == []


def test_baselines_and_bounds_are_never_the_best(run: Path):
    """As in a sweep's table; a role may have any name, what the recipe trains is no baseline."""
    columns = {"dice": Column("Dice", "et", True), "mse": Column("MSE", "image", False)}
    values = {"training_mean": 0.5, "b": 0.4, "input:t1": 0.9, "target:real": 1.0, "target:none": 0.95}
    rows = [Row("p", method, 1, {"dice": v, "mse": 1 - v}) for method, v in values.items()]
    Evaluation("s", "e", columns, rows).write(run / "evaluation")
    (run / "recipe.toml").write_text("[translators.training_mean]\n[translators.b]\n")
    assert Page(write_report(run).read_text(encoding="utf-8")).best == ["0.50", "0.500"]
    (run / "recipe.toml").write_text("[translators.b]\n")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.best == []  # without rivals
    (run / "recipe.toml").unlink()
    assert Page(write_report(run).read_text(encoding="utf-8")).best == []


def test_a_winning_baseline_and_a_light_map_are_said(run: Path):
    columns = {"ssim": Column("SSIM", "image", True)}
    rows = [Row("p", method, 1, {"ssim": value}) for method, value in (("b", 0.5), ("input:t1", 0.9))]
    Evaluation("s", "e", columns, rows).write(run / "evaluation")
    (run / "evaluation" / "weights.json").write_text('{"difficulty": {"tumour": 0.95, "brain": 1.0}}')
    (run / "recipe.toml").write_text("[run]\nseed = 7\n[translators.b]\n")
    text = write_report(run).read_text(encoding="utf-8")
    assert (
        '<p class="warning">† copying the t1 (baseline/input:t1) scores better than the best method in SSIM ↑.' in text
    )
    assert "<td>† 0.900</td>" in text
    assert "weight map difficulty is lower in the tumor than in healthy brain (ratio 0.95)." in text
    assert "<dt>seed</dt><dd>7</dd>" in text


def test_needs_nothing_but_itself(run: Path):
    text = write_report(run).read_text(encoding="utf-8")
    addresses = Page(text).addresses
    assert addresses
    assert all(a.startswith(("data:", "#")) for a in addresses)
    assert not re.search(r"https?:|@import|url\((?!#)", text)


def test_names_are_escaped(run: Path):
    text = write_report(run).read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "&lt;b&gt;mean&lt;/b&gt;" in text
    assert "<i>" not in text


@pytest.mark.parametrize(
    ("kept", "sections"),
    [
        (("status.json",), ["recipe"]),
        (("status.json", "recipe.toml", "metrics.jsonl"), ["curves", "recipe"]),
        (("status.json", "metrics.jsonl", "panels"), ["curves", "panels", "recipe"]),
    ],
)
def test_unfinished_run(run: Path, tmp_path: Path, kept, sections):
    folder = tmp_path / "unfinished"
    folder.mkdir()
    for name in kept:
        (run / name).rename(folder / name)
    if "metrics.jsonl" in kept:
        with (folder / "metrics.jsonl").open("a") as file:
            file.write('{"seq": 1200, "st')  # cut off while writing
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert page.sections == sections


def test_no_run(tmp_path: Path):
    with pytest.raises(EvaluationError, match="not the folder of a run"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []
