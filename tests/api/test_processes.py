"""One run on two processes: real ones, started by the command line, killed and resumed."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gantk import evaluate
from gantk.files import unsealed
from kills import assert_same
from ranks import EVEN, hit_held, start

SECONDS = 240


def the_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def state(folder: Path) -> str:
    return json.loads((the_run(folder) / "status.json").read_text())["state"]


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    gantk = start(folder, str(recipe), *EVEN)
    said, _ = gantk.communicate(timeout=SECONDS)
    assert gantk.returncode == 0, said
    assert said.count("training finished") == said.count("Test patients") == 1  # the first process alone speaks
    assert "Measuring" not in said, "the first process alone would train a step of networks that synchronize"
    environment = json.loads((the_run(folder) / "environment.json").read_text())
    assert environment["processes"] == 2
    return the_run(folder)


def test_they_share_the_test_patients_and_measure_what_one_would(whole: Path, tmp_path: Path) -> None:
    alone = tmp_path / whole.name
    shutil.copytree(whole, alone)
    shutil.rmtree(alone / "evaluation")
    evaluate(alone)
    made = alone / "evaluation", whole / "evaluation"
    rows = [list(csv.DictReader((folder / "patients.csv").open())) for folder in made]
    assert rows[0] == rows[1]
    assert len({row["patient"] for row in rows[0]}) > 1
    for name in ("weights.json", "examples.npz"):
        assert (made[0] / name).exists() == (made[1] / name).exists()
    weights = [unsealed(json.loads((folder / "weights.json").read_text())) for folder in made]
    for name, regions in weights[0].items():
        assert regions == pytest.approx(weights[1][name], rel=1e-9)


def test_a_process_is_killed_and_the_run_resumed(whole: Path, recipe: Path, tmp_path: Path) -> None:
    gantk = start(tmp_path, str(recipe), *EVEN, held=1)
    hit_held(gantk, tmp_path, 1)
    said, _ = gantk.communicate(timeout=SECONDS)  # no process waits for a dead one
    assert gantk.returncode == 1, said
    assert "another of the 2 processes of this run has ended" in said
    assert state(tmp_path) == "failed"
    again = start(tmp_path, "--resume", str(the_run(tmp_path)))
    said, _ = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, said
    assert_same(the_run(tmp_path), whole)


def test_one_is_asked_to_stop_and_another_number_goes_on(recipe: Path, tmp_path: Path) -> None:
    gantk = start(tmp_path, str(recipe), *EVEN, held=1)
    hit_held(gantk, tmp_path, 1, signal.SIGTERM)
    said, _ = gantk.communicate(timeout=SECONDS)
    assert gantk.returncode == 130, said
    assert f"gantk run --resume {the_run(tmp_path).name} --processes 2" in said
    assert state(tmp_path) == "interrupted"
    command = [sys.executable, "-m", "gantk", "run", "--resume", str(the_run(tmp_path))]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert "had 2 processes so far, and continues with 1" in again.stderr
    assert state(tmp_path) == "finished"


def test_what_cannot_be_divided_is_said_once(recipe: Path, tmp_path: Path) -> None:
    gantk = start(tmp_path, str(recipe))
    said, _ = gantk.communicate(timeout=SECONDS)
    assert gantk.returncode == 2, said
    told = [line for line in said.splitlines() if "1 images cannot be divided evenly among 2 processes" in line]
    assert sum("process 1: " not in line for line in told) == 1  # the other process may add its own message later
    assert not (tmp_path / "runs").exists()
