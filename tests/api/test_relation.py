"""Figures over the test patients, with their numbers beside them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from drawn_runs import make_examples, write_run
from gantk.api.relation import error_by_weight, intensities, relation
from gantk.errors import EvaluationError, UsageError


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [write_run(tmp_path / name, make_examples(), better=better) for name, better in (("one", 0.0), ("two", 0.1))]


def numbers(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("kind", ["violin", "bland-altman"])
def test_a_figure_and_its_numbers(runs: list[Path], tmp_path: Path, kind: str) -> None:
    table = relation(runs, tmp_path / "x.png", kind=kind, metric="ssim", regions=["image"], roles=["student"])  # type: ignore[arg-type]
    assert table == tmp_path / "x.csv"
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    rows = numbers(table)
    assert rows
    assert not any("teacher" in value for row in rows for value in row.values())


def test_a_map_and_errors_of_example_slices(runs: list[Path], tmp_path: Path) -> None:
    table = error_by_weight(runs[:1], tmp_path / "x.pdf", name="difficulty/student")
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")
    assert numbers(table)
    with pytest.raises(EvaluationError, match="difficulty/studnet"):
        error_by_weight(runs[:1], tmp_path / "y.pdf", name="difficulty/studnet")


def test_what_cannot_be_drawn_leaves_no_file(runs: list[Path], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for name, kind, said in (("x.gif", "violin", r"\.png or \.pdf"), ("x.png", "tumour-size", "tumo")):
        with pytest.raises((UsageError, EvaluationError), match=said):
            relation(runs, tmp_path / name, kind=kind, metric="ssim")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="psnr"):
        relation(runs, tmp_path / "x.png", kind="violin", metric="psnr")
    with pytest.raises((UsageError, EvaluationError)):
        intensities(runs, tmp_path / "x.png")
    assert sorted(tmp_path.rglob("*")) == before
