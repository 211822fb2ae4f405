"""Runs that cannot simply go on: damaged checkpoints, other recipes, changed data, numbers that are none."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import gantk
from gantk.errors import CheckpointError, DataError, UsageError
from gantk.training.checkpoint import list_checkpoints, newest_checkpoint, open_checkpoint
from kills import held_at_line
from waiting import until


@pytest.fixture
def run(uninterrupted: Any, tmp_path: Path) -> Path:
    """A finished run, to be spoilt."""
    reference = uninterrupted("plain")
    return Path(shutil.copytree(reference, tmp_path / "runs" / reference.name))


def flip(checkpoint: Path) -> str:
    path = checkpoint / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    return "model.safetensors differs from its recorded checksum"


def cut(checkpoint: Path) -> str:
    path = checkpoint / "state.pt"
    path.write_bytes(path.read_bytes()[:-500])
    return "state.pt differs from its recorded checksum"


def lose(checkpoint: Path) -> str:
    (checkpoint / "state.pt").unlink()
    return "state.pt: No such file"


def scribble(text: str) -> Any:
    def damage(checkpoint: Path) -> str:
        (checkpoint / "checkpoint.json").write_text(text)
        return "checkpoint.json is not what gantk wrote"

    return damage


def forget(key: str) -> Any:
    def damage(checkpoint: Path) -> str:
        path = checkpoint / "checkpoint.json"
        facts = json.loads(path.read_text())
        del facts[key]
        path.write_text(json.dumps(facts))
        return "checkpoint.json is not what gantk wrote"

    return damage


def revise(checkpoint: Path) -> str:
    """Another digit: JSON of the right types still."""
    path = checkpoint / "checkpoint.json"
    text = path.read_text()
    assert '"converged": 1' in text
    path.write_text(text.replace('"converged": 1', '"converged": 3'))
    return "checkpoint.json is not what gantk wrote: it differs from its own checksum"


GARBAGE = ["", "{", "[]", "3", "{}", '{"position": {}, "format": 1}', '{"position": {"steps": 1}}', "\x00\xff"]
DAMAGES = {
    "flipped": flip,
    "cut": cut,
    "lost": lose,
    "revised": revise,
    **{f"garbage-{number}": scribble(text) for number, text in enumerate(GARBAGE)},
    **{f"without-{key}": forget(key) for key in ("format", "position", "recipe", "scheduler", "sha256")},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named(run: Path, damage: str) -> None:
    newest = list_checkpoints(run / "checkpoints")[-1]
    why = DAMAGES[damage](newest)
    with pytest.raises(CheckpointError, match="the checkpoint is damaged") as caught:
        gantk.run(resume=run, device="cpu")
    message = str(caught.value)
    assert str(newest) in message
    assert why in message
    assert "move this folder elsewhere to continue from the previous checkpoint" in message
    if damage not in ("cut", "lost"):  # predicting needs no optimizer
        with pytest.raises(CheckpointError, match="the checkpoint is damaged"):
            gantk.load(run, device="cpu")


def test_an_older_format_says_so(run: Path) -> None:
    path = list_checkpoints(run / "checkpoints")[-1] / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))
    with pytest.raises(CheckpointError, match=r"format 1, of an older gantk.*gantk 0\.1\.0"):
        open_checkpoint(path.parent)


def test_a_newer_format_asks_for_a_newer_gantk(run: Path) -> None:
    path = list_checkpoints(run / "checkpoints")[-1] / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(CheckpointError, match=r"format 99.*upgrade gantk"):
        gantk.load(run, device="cpu")


def test_without_the_damaged_one_the_run_goes_on_identically(
    server: Any, run: Path, tmp_path: Path, uninterrupted: Any
) -> None:
    reference = newest_checkpoint(uninterrupted("plain") / "checkpoints")
    assert reference is not None
    newest = list_checkpoints(run / "checkpoints")[-1]
    flip(newest)
    refused = server.start(tmp_path, "run", "--resume", run.name)
    assert refused.wait() == 1
    assert "the checkpoint is damaged" in refused.output
    shutil.rmtree(newest)
    process = server.start(tmp_path, "run", "--resume", run.name)
    assert process.wait() == 0, process.output
    mended = open_checkpoint(newest)
    assert (mended.folder / "model.safetensors").read_bytes() == (reference.folder / "model.safetensors").read_bytes()


def test_a_checkpoint_without_its_json_is_made_again(server: Any, run: Path, tmp_path: Path) -> None:
    newest = list_checkpoints(run / "checkpoints")[-1]
    whole = (newest / "model.safetensors").read_bytes()
    (newest / "checkpoint.json").unlink()
    flip(newest)
    process = server.start(tmp_path, "run", "--resume", run.name)
    assert process.wait() == 0, process.output
    assert open_checkpoint(newest).tensors()
    assert (newest / "model.safetensors").read_bytes() == whole


def test_resume_with_another_recipe_is_refused(run: Path, recipe: Path) -> None:
    before = (run / "metrics.jsonl").read_bytes()
    for arguments in ([None, ["run.seed=1"]], [recipe, ["losses.pixelwise.weight=99"]]):
        with pytest.raises(UsageError, match="the recipe differs from the one with which this run began"):
            gantk.run(*arguments, resume=run, device="cpu")
    assert (run / "metrics.jsonl").read_bytes() == before


def test_there_is_no_such_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no run 'tiny'"):
        gantk.run(resume="tiny", device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_checkpoint_cannot_predict(run: Path, patients: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        gantk.load(run, device="cpu")


def test_resume_after_the_data_changed_is_refused(
    server: Any, own_recipe: Path, patients: Path, make_patient: Any
) -> None:
    process = server.start(own_recipe.parent, "run", own_recipe, before=held_at_line(5))
    until(lambda: list(own_recipe.parent.glob("runs/*/checkpoints/step-*")))
    process.kill()
    assert process.wait() == -signal.SIGKILL
    run = process.run
    make_patient(patients / "P3", seed=99)  # the same patient, other images
    with pytest.raises(DataError, match="the images have changed since this run's last checkpoint"):
        gantk.run(resume=run, device="cpu")
    make_patient(patients / "P3", seed=3)
    make_patient(patients / "P99", seed=99)
    with pytest.raises(DataError, match="the cohort has changed since this run began"):
        gantk.run(resume=run, device="cpu")
    shutil.rmtree(patients / "P99")
    moved = server.start(own_recipe.parent, "run", "--resume", run.name)
    assert moved.wait() == 0, moved.output


NAN_VALUE = "loss * float('nan')"
NAN_GRADIENT = "loss + (0 * view.output).square().sum().sqrt()"  # the root's derivative at 0, times 0
SPOILT = """
import gantk_baselines.pixelwise as module
true = module.L1.__call__
calls = []
def spoilt(self, view):
    calls.append(1)
    loss = true(self, view)
    return {spoilt} if len(calls) == 11 else loss  # 2 calls rehearse the stages, 4 measure them
module.L1.__call__ = spoilt
"""


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("kind", ["value", "gradient", "clipped gradient"])
def test_numbers_that_are_none_stop_the_run(server: Any, recipe: Path, tmp_path: Path, kind: str, every: int) -> None:
    spoilt = SPOILT.format(spoilt=NAN_VALUE if kind == "value" else NAN_GRADIENT)
    settings = ["--set", f"training.checkpoint_every={every}"]
    if kind == "clipped gradient":
        settings += ["--set", "training.clip_gradients=1"]
    process = server.start(tmp_path, "run", recipe, *settings, before=spoilt)
    assert process.wait() == 1, process.output
    said = process.output
    checkpoints = list_checkpoints(process.run / "checkpoints")
    checkpoint = open_checkpoint(checkpoints[-1])
    assert checkpoint.position.total == 4
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors().values() if tensor.is_floating_point())
    assert "in stage 'teacher', epoch 1" in said
    assert str(checkpoints[-1]) in said
    blamed = {
        "value": "the term teacher/pixelwise became nan",
        "clipped gradient": "the gradient of teacher's generator became nan",
        "gradient": "of 'teacher' became NaN" if every == 1 else "teacher/",
    }
    assert blamed[kind] in said
    assert "Traceback" not in said
    assert json.loads((process.run / "status.json").read_text())["state"] == "failed"
    resumed = server.start(tmp_path, "run", "--resume", process.run.name)
    assert resumed.wait() == 0, resumed.output
    finished = newest_checkpoint(process.run / "checkpoints")
    assert finished is not None
    assert all(torch.isfinite(t).all() for t in finished.tensors().values() if t.is_floating_point())
