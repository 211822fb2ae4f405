"""The data of a run's folder for MLflow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mlflow.utils.validation import _validate_metric_name

from gantk.evaluation.results import Column, Evaluation, Row
from gantk.tracking.folder import RunFolder, entity_name, flatten

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


@pytest.mark.parametrize(
    "name",
    ["a/b", "train/student/ssim@tumour", "a//b", "/a", "../a", "input:t1", "adversarial (D)", "ä", "x" * 300],
)
def test_names_are_those_that_mlflow_takes(name: str) -> None:
    clean = entity_name(name)
    _validate_metric_name(clean)
    assert entity_name(clean) == clean


def test_long_parameters_are_cut(make_run: Make) -> None:
    made = make_run("long")
    (made.path / "recipe.toml").write_text(f'name = "{"x" * 9000}"')
    assert len(RunFolder(made.path).parameters()["name"]) == 6000


def test_the_note_says_that_a_baseline_wins(make_run: Make) -> None:
    made = make_run("beaten")
    columns = {"ssim": Column("SSIM", "image", True)}
    rows = [Row("p", method, 1, {"ssim": value}) for method, value in (("student", 0.5), ("input:t1", 0.9))]
    Evaluation("s", "e", columns, rows).write(made.path / "evaluation")
    note = RunFolder(made.path).tags()["mlflow.note.content"]
    assert "- † copying the t1 (baseline/input:t1) scores better than the best method in SSIM ↑" in note


def test_flatten() -> None:
    assert dict(flatten({"a": {"b": 1, "c": []}, "d": "x", "e": {}, "f": True})) == {
        "a.b": "1", "a.c": "[]", "d": "x", "e": "{}", "f": "true",
    }  # fmt: skip
