"""Processes that die at a chosen moment, and the checks of a resumed run."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gantk.training.checkpoint import newest_checkpoint


def journal(run: Path) -> list[dict[str, Any]]:
    """The journal's whole lines, without their times and checksums."""
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [{k: v for k, v in json.loads(line).items() if k not in ("time", "crc")} for line in lines]


def assert_same(run: Path, reference: Path) -> None:
    """Weights, optimizers, position, scheduler, journal and evaluation are equal bit for bit."""
    ours, theirs = (newest_checkpoint(folder / "checkpoints") for folder in (run, reference))
    assert ours is not None
    assert theirs is not None
    assert ours.position == theirs.position
    for name in ("scheduler", "recipe", "split", "data", "meaning"):
        assert ours.facts[name] == theirs.facts[name]
    weights = [(c.folder / "model.safetensors").read_bytes() for c in (ours, theirs)]
    assert weights[0] == weights[1]
    assert_equal(ours.optimizers(), theirs.optimizers())
    records = journal(run)
    assert records == journal(reference)
    assert [record["seq"] for record in records] == list(range(len(records)))
    for name in ("patients.csv", "summary.json", "weights.json"):
        assert (run / "evaluation" / name).read_bytes() == (reference / "evaluation" / name).read_bytes()


def assert_equal(a: Any, b: Any) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b


WATCHED = """
import os, signal, sys
seen = [0]
counter = os.open({counter!r}, os.O_WRONLY | os.O_CREAT)
def watch(event, given):
    if not given or not isinstance(given[0], (str, bytes, os.PathLike)):
        return
    changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod") or (
        event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
    )
    if changes and os.path.abspath(os.fsdecode(given[0])).startswith({folder!r}):
        seen[0] += 1
        os.pwrite(counter, str(seen[0]).encode(), 0)
        if seen[0] == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""


def killed_at_change(folder: Path, number: int, counter: Path) -> str:
    """Python that kills its process just before its n-th change of a file or folder in `folder`.

    Changes are what opens a file for writing, renames, removes or makes one. How many there were is written to
    `counter`; with 0 nothing is killed.
    """
    return WATCHED.format(folder=str(folder), number=number, counter=str(counter))


KILLED = """
import os, signal, gantk.files as files
sync = files._sync
def dies(path):
    if path.name.endswith({name!r}):
        os.kill(os.getpid(), signal.SIGKILL)
    sync(path)
files._sync = dies
"""


def killed_while_writing(name: str) -> str:
    """Python that kills its process where the first file whose name ends so is written but has no name yet."""
    return KILLED.format(name=name)


HELD = """
import time, gantk.api.signals as signals, gantk.tracking.journal as journals
append, handle = journals.Journal.append, signals.StopSignals._handle
told = []
def held(self, *given):
    number = append(self, *given)
    ends = time.monotonic() + 600
    while number + 1 >= {lines} and not told and time.monotonic() < ends:
        time.sleep(0.01)
    return number
def heard(self, *given):
    told.append(1)
    handle(self, *given)
journals.Journal.append, signals.StopSignals._handle = held, heard
"""


def held_at_line(number: int) -> str:
    """Python whose run waits after the n-th line of its journal for a signal, and so does not end before one."""
    return HELD.format(lines=number)


def partial(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".partial-" in path.name]


def killed(work: Callable[[], object], statement: int) -> None:
    """Do it in a process that dies (SIGKILL) before its n-th SQL statement that changes something."""

    import sqlalchemy

    def until_death() -> None:
        seen = 0

        @sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
        def _(connection, cursor, text, *rest) -> None:  # type: ignore[no-untyped-def]
            nonlocal seen
            seen += text.split()[0].upper() in ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE")
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        work()

    process = multiprocessing.get_context("fork").Process(target=until_death)
    process.start()
    process.join(240)
    assert process.exitcode == -signal.SIGKILL
