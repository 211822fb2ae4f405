"""A whole run on a GPU: killed and resumed to the same bits, and translated there and on the CPU alike."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantk import load
from kills import assert_same, journal
from ranks import EVEN, hit_held, start

SECONDS = 600


def gantk(folder: Path, device: torch.device, *arguments: str | Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "gantk", "run", *map(str, arguments), "--device", str(device)]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return said


def the_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def wait_for_a_checkpoint(process: subprocess.Popen[str], folder: Path) -> None:
    ends = time.monotonic() + SECONDS
    while not list(folder.glob("runs/*/checkpoints/step-*/checkpoint.json")):
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_killed_run_goes_on_to_the_same_bits(
    recipe: Path, tmp_path: Path, device: torch.device, precision: str
) -> None:
    options = ("--set", "run.deterministic=true", "--set", f"run.precision={precision}")
    finish(gantk(tmp_path / "whole", device, recipe, *options))
    killed = gantk(tmp_path / "killed", device, recipe, *options)
    wait_for_a_checkpoint(killed, tmp_path / "killed")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    finish(gantk(tmp_path / "killed", device, "--resume", the_run(tmp_path / "killed").name))
    assert_same(the_run(tmp_path / "killed"), the_run(tmp_path / "whole"))


def test_a_prediction_is_the_cpus(recipe: Path, cohort: Any, tmp_path: Path, device: torch.device) -> None:
    finish(gantk(tmp_path, device, recipe))
    patient = next(path for path in sorted(Path(cohort).iterdir()) if path.is_dir())
    made = [load(the_run(tmp_path), device=name).predict(patient) for name in (str(device), "cpu")]
    assert np.abs(made[0] - made[1]).max() <= 1e-3 * np.abs(made[1]).max()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are not two GPUs here")
def test_two_gpus_train_together(recipe: Path, tmp_path: Path) -> None:
    finish(start(tmp_path, recipe, *EVEN, "--device", "cuda"))


def test_two_processes_share_a_gpu(recipe: Path, tmp_path: Path, device: torch.device) -> None:
    """One dies, and they go on to the same bits; their first losses are those of a process that has the batch alone."""
    options = (*EVEN, "--set", "run.deterministic=true", "--set", "translators.teacher.generator.dropout=0.0")
    shared = ("--device", "cuda:0" if device.type == "cuda" else str(device))
    finish(gantk(tmp_path / "alone", device, recipe, *options))
    finish(start(tmp_path / "whole", recipe, *options, *shared))
    first, theirs = (
        {name: value for name, value in record["metrics"].items() if name.startswith("train/")}
        for record in (journal(the_run(tmp_path / name))[0] for name in ("whole", "alone"))
    )
    assert first == pytest.approx(theirs, rel=1e-3)
    killed = start(tmp_path / "killed", recipe, *options, *shared, held=1)
    hit_held(killed, tmp_path / "killed", 1)
    said, _ = killed.communicate(timeout=SECONDS)
    assert "another of the 2 processes of this run has ended" in said
    finish(start(tmp_path / "killed", "--resume", the_run(tmp_path / "killed").name, *shared))
    assert_same(the_run(tmp_path / "killed"), the_run(tmp_path / "whole"))
