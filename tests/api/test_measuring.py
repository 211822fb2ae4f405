"""Predictions with a known target are measured as an evaluation measures them."""

from __future__ import annotations

import csv
import shutil
import time
from pathlib import Path

import pytest
import torch

import gantk
from gantk.api.measuring import Measure
from gantk.progress import QuietProgress

QUIET = QuietProgress()


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as handle:
        return {row["subject"]: row for row in csv.DictReader(handle)}


def test_subjects_are_measured_one_at_a_time(
    model: gantk.Model, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most = 0, 0

    class Busy:
        higher_is_better, title = True, "Busy"

        def __call__(self, prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1
            return torch.zeros(len(prediction))

    monkeypatch.setattr(Measure, "_metrics", {"busy": Busy()})
    gantk.predict_cohort(model, cohort, tmp_path / "out", progress=QUIET)
    assert {row["busy"] for row in table(tmp_path / "out").values()} == {"0.0"}
    assert most == 1


def test_metrics_are_those_of_an_evaluation(model: gantk.Model, run: Path, cohort: Path, tmp_path: Path) -> None:
    copy = tmp_path / "runs" / run.name
    shutil.copytree(run, copy)
    gantk.evaluate(copy, ["evaluation.mask=foreground"], progress=QUIET)  # as predictions always are
    with (copy / "evaluation" / "patients.csv").open(newline="") as handle:
        known = {row["patient"]: row for row in csv.DictReader(handle) if row["method"] == "student"}
    gantk.predict_cohort([model, model], cohort, tmp_path / "out", progress=QUIET)
    rows = table(tmp_path / "out")
    assert known
    for patient, row in known.items():
        for name in ("mse", "ssim"):  # which sees the crop alone: the network answers differently near its edge
            assert float(rows[patient][name]) == pytest.approx(float(row[name]), rel=0.15)
