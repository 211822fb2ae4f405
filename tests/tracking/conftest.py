"""Run folders to feed, and one MLflow database for all tests (making one takes seconds)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantk.tracking.credentials import lend
from gantk.tracking.journal import Journal
from gantk.tracking.store import Store

RECIPE = """
name = "tiny"
description = "A small run"
[data]
dataset = "phantom"
inputs = ["t1", "t2"]
[losses.pixelwise]
use = "l1"
weight = 100.0
[tracking]
experiment = "tests"
"""


class MadeRun:
    """A run folder as a run would have written it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        (path / "recipe.toml").write_text(RECIPE)
        (path / "split.csv").write_text("patient,role\na,test\n")
        git = {"commit": "c0ffee", "dirty": False}
        (path / "environment.json").write_text(json.dumps({"git": git, "packages": {"gantk": "0.1.0"}}))
        self.status("running")
        self.journal = Journal(path / "metrics.jsonl")

    def status(self, state: str, step: int = 0) -> None:
        content = {
            "state": state,
            "id": self.path.name,
            "split": "0123456789ab",
            "step": step,
            "started": 1.7e9,
        }
        (self.path / "status.json").write_text(json.dumps({**content, "updated": 1.7e9 + 60}))

    def steps(self, first: int, last: int) -> None:
        for step in range(first, last + 1):
            self.journal.append(step, 0, "one", {"train/student/pixelwise": 1 / step, "rate/student/generator": 1e-3})

    def panel(self, key: str, step: int) -> None:
        path = self.path / "panels" / key / f"step-{step:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 300, 3), 100, np.uint8)).save(path)

    def finish(self, step: int) -> None:
        evaluation = self.path / "evaluation"
        evaluation.mkdir()
        (evaluation / "patients.csv").write_text("patient,method,ssim\na,student,0.9\n")
        methods = {
            "student": {"ssim": {"mean": 0.9, "std": 0.0, "n": 1}},
            "input:t1": {"ssim": {"mean": 0.5, "n": 1}},
        }
        (evaluation / "summary.json").write_text(json.dumps({"methods": methods}))
        (self.path / "report.html").write_text("<html></html>")
        for checkpoint in (1, step):
            folder = self.path / "checkpoints" / f"step-{checkpoint:08d}"
            folder.mkdir(parents=True)
            (folder / "checkpoint.json").write_text("{}")
        self.status("finished", step)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")
    made.client()
    return made


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[str], MadeRun]:
    return lambda name: MadeRun(tmp_path / "runs" / f"{name}-{tmp_path.name}")


@pytest.fixture
def nothing_lent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No credentials of MLflow in the environment, before and after."""
    for name in ("URI", "USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    yield
    monkeypatch.undo()
    lend("sqlite:///nothing")  # takes back
