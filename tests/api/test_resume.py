"""A run stopped at any moment and resumed gives what the run that was never stopped gives, bit for bit."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from gantk.training.checkpoint import list_checkpoints, newest_checkpoint
from kills import assert_same, held_at_line, journal, killed_while_writing, partial
from waiting import until

OPTIONS = ["ema", "accumulation", "bf16", "fp16", "channels-last", "committee", "volumes", "volumes-hard"]


def test_the_run_is_one_that_resuming_can_break(uninterrupted: Any) -> None:
    run = uninterrupted("plain")
    records = journal(run)
    stages = {record["stage"] for record in records}
    assert stages == {"teacher", "joint"}
    trained = [record for record in records if "train/teacher/pixelwise" in record["metrics"]]
    assert [record["step"] for record in trained] == list(range(len(trained)))
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.facts["scheduler"]["converged"] == 1  # two of the three epochs: it stepped back
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


# it waits before it says that it is finished, so that no kill comes too late on a busy machine
HELD_END = """
import time, gantk.api.course as module
ended = module.Course._ended
def held(*given):
    time.sleep(600)
    ended(*given)
module.Course._ended = held
"""


def test_ten_kills_at_random_moments(server: Any, recipe: Path, uninterrupted: Any, tmp_path: Path) -> None:
    reference = uninterrupted("plain")
    lines = len(journal(reference))
    rng = random.Random(20261122)
    # by lines of the journal, so that they spread over the whole run; the last ones fall into the evaluation
    moments = [*sorted(rng.randint(0, lines) for _ in range(8)), lines, lines]
    killed_at = []
    held = [held_at_line(moment + 1) + HELD_END for moment in moments]  # wherever this process is slow
    process = server.start(tmp_path, "run", recipe, before=held[0])
    run = process.run
    for moment, following in zip(moments, [*held[1:], ""], strict=True):
        until(lambda moment=moment: len(journal(run)) >= moment)
        time.sleep(rng.uniform(0, 0.06))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        killed_at.append(len(journal(run)))
        assert state(run) in ("running", None)
        process = server.start(tmp_path, "run", "--resume", run.name, before=following)
    assert process.wait() == 0, process.output
    assert len(set(killed_at)) > 5  # not ten times the same moment
    assert_same(run, reference)
    leftovers = [path for path in run.rglob("*") if ".partial-" in path.name]
    assert leftovers == []


def state(run: Path) -> str | None:
    """The content of status.json; None if the run was killed before writing it."""
    path = run / "status.json"
    return json.loads(path.read_text())["state"] if path.exists() else None


SLOW_SAVE = """
import time, gantk.training.checkpoint as module
write = module.save_file
def slow(tensors, path):
    write(tensors, path)
    if len(list(path.parent.parent.glob("step-*"))) == 2:
        open("writing", "w").close()
        time.sleep(600)
module.save_file = slow
"""


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before_it(
    server: Any, recipe: Path, uninterrupted: Any, tmp_path: Path
) -> None:
    process = server.start(tmp_path, "run", recipe, before=SLOW_SAVE)
    until((tmp_path / "writing").exists)
    run = process.run
    partial = list((run / "checkpoints").glob(".*.partial-*"))
    assert len(partial) == 1
    assert (partial[0] / "model.safetensors").is_file()
    process.kill()
    assert process.wait() == -signal.SIGKILL
    before = newest_checkpoint(run / "checkpoints")
    assert before is not None
    assert before.tensors()
    assert before.optimizers()
    resumed = server.start(tmp_path, "run", "--resume", run.name)
    assert resumed.wait() == 0, resumed.output
    assert not partial[0].exists()
    assert_same(run, uninterrupted("plain"))


def test_a_kill_in_every_phase(server: Any, recipe: Path, uninterrupted: Any, tmp_path: Path) -> None:
    """One run, killed in turn while it makes its folder, begins, draws, saves, measures, and says that it is done."""
    process = server.start(tmp_path, "run", recipe, before=killed_while_writing("recipe.toml"))
    assert process.wait() == -signal.SIGKILL
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert partial(tmp_path / "runs")  # and so no run
    refused = server.start(tmp_path, "run", "--resume", "tiny")
    assert refused.wait() == 2
    assert "there is no run 'tiny'" in refused.output
    process = server.start(tmp_path, "run", recipe, before=killed_while_writing("environment.json"))
    assert process.wait() == -signal.SIGKILL
    (run,) = (tmp_path / "runs").iterdir()  # the leftovers of the first run are gone
    for name in ("status.json", ".png", "checkpoint.json", ".safetensors", "patients.csv", "examples.npz"):
        process = server.start(tmp_path, "run", "--resume", run.name, before=killed_while_writing(name))
        assert process.wait() == -signal.SIGKILL, (name, process.output)
        assert partial(run), name
    process = server.start(tmp_path, "run", "--resume", run.name)
    assert process.wait() == 0, process.output
    assert_same(run, uninterrupted("plain"))
    assert not partial(tmp_path)


def test_a_kill_while_slices_are_prepared(server: Any, recipe: Path, uninterrupted: Any, tmp_path: Path) -> None:
    own_cache = f"import os; os.environ['GANTK_CACHE'] = {str(tmp_path / 'cache')!r}\n"
    dies = """
import os, signal, gantk.data.store as store
save, saved = store.np.save, []
def dies(*given):
    saved.append(save(*given))
    if len(saved) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
store.np.save = dies
"""
    process = server.start(tmp_path, "run", recipe, before=own_cache + dies)
    assert process.wait() == -signal.SIGKILL
    assert partial(tmp_path / "cache")
    assert not (tmp_path / "runs").exists()
    process = server.start(tmp_path, "run", recipe, before=own_cache)
    assert process.wait() == 0, process.output
    assert not partial(tmp_path)
    assert_same(process.run, uninterrupted("plain"))


def test_a_kill_while_a_prediction_is_written(server: Any, cohort: Path, uninterrupted: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = ("predict", uninterrupted("plain"), cohort / "P0", "--out")
    process = server.start(tmp_path, *command, out / "a.nii.gz", before=killed_while_writing("a.nii.gz"))
    assert process.wait() == -signal.SIGKILL
    assert partial(out)
    process = server.start(tmp_path, *command, out / "b.nii.gz")
    assert process.wait() == 0, process.output
    assert [path.name for path in out.iterdir()] == ["b.nii.gz"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("lines", [1, 5])
def test_a_signal_saves_and_exits_130(
    server: Any, recipe: Path, uninterrupted: Any, tmp_path: Path, number: int, lines: int
) -> None:
    process = server.start(tmp_path, "run", recipe, before=held_at_line(lines))
    run = process.run
    until(lambda: len(journal(run)) >= lines)
    process.kill(number)
    assert process.wait() == 130, process.output
    said = process.output
    assert "interrupted: " in said
    assert f"gantk run --resume {run.name}" in said
    assert "Traceback" not in said
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "interrupted"
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.position.total == journal(run)[-1]["step"] + 1  # nothing is done twice
    resumed = server.start(tmp_path, "run", "--resume", run.name)
    assert resumed.wait() == 0, resumed.output
    assert_same(run, uninterrupted("plain"))


@pytest.mark.parametrize("kind", OPTIONS)
def test_resume_is_exact_with(
    server: Any, recipe: Path, uninterrupted: Any, options: Any, tmp_path: Path, kind: str
) -> None:
    """Dropout is in all of them."""
    reference = uninterrupted(kind)
    assert "dropout = 0.2" in (reference / "recipe.toml").read_text()
    first, last = 3, len(journal(reference)) - 3  # one in each stage
    process = server.start(tmp_path, "run", recipe, *options(kind), before=held_at_line(first + 1))
    run = process.run
    for lines, following in ((first, held_at_line(last + 1)), (last, "")):
        until(lambda lines=lines: len(journal(run)) >= lines)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process = server.start(tmp_path, "run", "--resume", run.name, before=following)
    assert process.wait() == 0, process.output
    assert_same(run, reference)


def test_a_finished_run_resumed_evaluates_again(server: Any, recipe: Path, uninterrupted: Any, tmp_path: Path) -> None:
    process = server.start(tmp_path, "run", recipe)
    assert process.wait() == 0
    process = server.start(tmp_path, "run", "--resume", process.run.name)
    assert process.wait() == 0
    assert_same(process.run, uninterrupted("plain"))


def test_two_processes_never_work_on_one_run(server: Any, recipe: Path, tmp_path: Path) -> None:
    from gantk.runs.lock import alone

    process = server.start(tmp_path, "run", recipe)
    assert process.wait() == 0
    with alone(process.run):
        refused = server.start(tmp_path, "run", "--resume", process.run.name)
        assert refused.wait() == 2
    assert "another process is working on this run" in refused.output


def test_old_checkpoints_go(uninterrupted: Any) -> None:
    kept = list_checkpoints(uninterrupted("plain") / "checkpoints")
    assert len(kept) == 2
    assert all(load_file(folder / "model.safetensors") for folder in kept)
