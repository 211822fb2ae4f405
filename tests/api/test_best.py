"""The best epoch: kept, evaluated and predicted with where the recipe says so; early ends; metrics without pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gantk
from gantk.errors import CheckpointError, RecipeError
from gantk.progress import QuietProgress
from gantk.training.best import best_checkpoint
from gantk.training.checkpoint import newest_checkpoint

SHORT = ["schedule.teacher_epochs=1", "schedule.joint_epochs=4"]
KEPT = ["training.keep_best={ metric = 'mse', role = 'student' }"]


def train(recipe: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *changes: str) -> gantk.RunResult:
    """A run whose student is best after its second epoch of validation."""
    monkeypatch.setattr("gantk.report.html.write_report", lambda folder: folder / "report.html")
    values = iter([9, 0.3, 0.1, 0.2, 0.3])
    from gantk.api.validation import Validation

    true = Validation.__call__
    monkeypatch.setattr(Validation, "__call__", lambda self, *a: {**true(self, *a), "student/mse": float(next(values))})
    return gantk.run(recipe, [*SHORT, *changes], device="cpu", out=folder, progress=QuietProgress())


def test_the_best_epoch_is_evaluated_and_predicted_with(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_patient: Any
) -> None:
    result = train(recipe, tmp_path, monkeypatch, *KEPT, "evaluation.checkpoint=best")
    best = best_checkpoint(result.folder / "checkpoints")
    last = newest_checkpoint(result.folder / "checkpoints")
    assert best is not None
    assert last is not None
    assert (best.position.total, last.position.total) == (9, 15)
    assert best.facts["best"] == {"metric": "student/mse", "value": 0.1, "higher_is_better": False}
    assert result.summary["checkpoint"] == "best student/mse, step 9"
    patient = make_patient(tmp_path / "N1", seed=77, modalities=("t1", "t2"))
    model = gantk.load(result.folder, device="cpu")
    assert model.checkpoint.folder == best.folder
    made = model.predict(patient, progress=QuietProgress())
    other = gantk.evaluate(result.folder, ["evaluation.checkpoint=last"], device="cpu", progress=QuietProgress())
    assert other.summary["checkpoint"] == "last, step 15"
    assert other.summary["methods"] != result.summary["methods"]
    model = gantk.load(result.folder, device="cpu")
    assert model.checkpoint.folder == last.folder
    assert not np.array_equal(model.predict(patient, progress=QuietProgress()), made)
    again = gantk.evaluate(result.folder, ["evaluation.checkpoint=best"], device="cpu", progress=QuietProgress())
    assert again.summary["methods"] == result.summary["methods"]
    resumed = gantk.run(resume=result.folder, device="cpu", progress=QuietProgress())
    assert resumed.summary["methods"] == result.summary["methods"]


def test_a_schedule_beside_ends_early(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = "{ use = 'early_stop', metric = 'mse', role = 'student', better = 'lower', patience = 1 }"
    result = train(recipe, tmp_path, monkeypatch, f"schedule.also=[{stop}]")
    last = newest_checkpoint(result.folder / "checkpoints")
    assert last is not None
    assert last.position.total == 12  # of 15: the fourth epoch was not better than the third
    assert not list((result.folder / "checkpoints").glob("best-*"))
    with pytest.raises(RecipeError, match="checkpoint is not kept"):
        gantk.evaluate(result.folder, ["evaluation.checkpoint=best"], device="cpu", progress=QuietProgress())


def test_without_a_best_epoch_there_is_no_model_of_it(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = train(recipe, tmp_path, monkeypatch, *KEPT)
    for folder in (result.folder / "checkpoints").glob("best-*"):
        folder.rename(tmp_path / "away")
    with pytest.raises(CheckpointError, match=r"no checkpoint of its best epoch.*evaluation\.checkpoint"):
        gantk.evaluate(result.folder, ["evaluation.checkpoint=best"], device="cpu", progress=QuietProgress())
    assert json.loads((result.folder / "evaluation" / "summary.json").read_text())["checkpoint"] == "last, step 15"
