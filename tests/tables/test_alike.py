"""Patients of one name with other images are not compared in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.errors import EvaluationError
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.tables.compare import compare
from gantk.tables.paper import result_table

COLUMNS = {"ssim": Column("SSIM", "image", True)}
IMAGES = {"p": {"t1ce": 700.0, "tumour": 412.0}, "q": {"t1ce": 650.0, "tumour": 90.0}}


def run(folder: Path, images: dict[str, dict[str, float]]) -> Path:
    rows = [Row(patient, "g", 5, {"ssim": value}) for patient, value in (("p", 0.8), ("q", 0.9))]
    evaluation = Evaluation("split", "settings", COLUMNS, rows, images=images)
    evaluation.write(folder / "evaluation")
    assert Evaluation.read(folder / "evaluation") == evaluation
    recipe = f'name = "x"\npredict = "g"\n[data]\nroot = "{folder.name}"\n[translators.g]\n'
    (folder / "recipe.toml").write_text(recipe)
    return folder


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"q": {"t1ce": 800.0, "tumour": 90.0}}, "t1ce of q has 650 in one, 800 in two"),
        ({"p": {"t1ce": 700.0, "tumour": 11.0}}, "tumour of p has 412 in one, 11 in two"),
    ],
)
def test_refused(tmp_path: Path, changed: dict[str, dict[str, float]], said: str) -> None:
    runs = [run(tmp_path / "one", IMAGES), run(tmp_path / "two", IMAGES | changed)]
    for put_together in (compare, result_table):
        with pytest.raises(EvaluationError, match=said):
            put_together(runs)
        assert put_together(runs, force=True).differences


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        {},  # of an earlier release
        {"p": {"t1ce": 700.9, "tumour": 413.0}},  # a brain that is a little larger, for other inputs
        {"p": {"t1": 100.0, "tumour": 412.0}},  # another target is measured
    ],
)
def test_taken_as_the_same(tmp_path: Path, images: dict[str, dict[str, float]]) -> None:
    runs = [run(tmp_path / "one", IMAGES), run(tmp_path / "two", images)]
    assert not compare(runs).differences
