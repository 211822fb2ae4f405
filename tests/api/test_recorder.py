"""The engine's reports become lines of the journal, the run's state, pictures, and calls of hooks and display."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from gantk.api.recorder import Recorder
from gantk.report.panels import draw_images
from gantk.runs.folders import Status
from gantk.tracking.journal import Journal
from gantk.training.scheduler import Stage
from gantk.training.state import Position

STAGE = Stage("joint", 3, ("student",))


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    recipe: Any = SimpleNamespace(training=SimpleNamespace(panel_slices=2))
    journal = Journal(tmp_path / "metrics.jsonl")
    return Recorder(tmp_path, recipe, Mock(), journal, Status(tmp_path), Mock())


def status(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "status.json").read_text())


def test_a_step_is_journaled_with_its_rates_and_told_to_hooks_and_display(recorder: Recorder) -> None:
    recorder.stage_begins(STAGE, 1, 2, 5, Position(1, 0, 0, 20))
    assert {**status(recorder.folder), "updated": 0} == {"stage": "joint", "epoch": 0, "step": 20, "updated": 0}
    recorder.step_done(STAGE, Position(1, 2, 3, 33), {"student/l1": 0.5}, {"student/generator": 1e-4}, 0.25)
    (line,) = recorder.journal.records()
    assert (line["step"], line["epoch"], line["stage"]) == (33, 2, "joint")
    assert line["metrics"] == {"train/student/l1": 0.5, "rate/student/generator": 1e-4}
    recorder.session.hook.after_step.assert_called_once_with(
        folder=recorder.folder, recipe=recorder.recipe, stage="joint", epoch=2, step=33, losses={"student/l1": 0.5}
    )
    recorder.display.step.assert_called_once_with("joint", 2, 3, 5, {"student/l1": 0.5}, 0.25)


def test_an_epoch_without_validation_leaves_no_line(recorder: Recorder) -> None:
    recorder.epoch_done(STAGE, Position(1, 0, 4, 24), {})
    assert list(recorder.journal.records()) == []
    recorder.epoch_done(STAGE, Position(1, 1, 4, 29), {"student/ssim": 0.9})
    assert [line["metrics"] for line in recorder.journal.records()] == [{"validation/student/ssim": 0.9}]
    assert (status(recorder.folder)["epoch"], status(recorder.folder)["step"]) == (2, 30)


def test_the_picture_of_a_term_is_titled_by_its_own_name(recorder: Recorder) -> None:
    images = torch.rand(3, 2, 8, 8)
    recorder.pictured(Position(1, 0, 4, 24), {"student/registration.moved": images})
    path = recorder.folder / "panels" / "train" / "student" / "registration.moved" / "step-00000024.png"
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), draw_images("moved", images[:2].numpy()))
