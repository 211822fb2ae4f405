"""The assignment of a sweep's children to processes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gantk.api.signals import StopSignals
from gantk.errors import UsageError
from gantk.launching import Job
from gantk.progress import QuietProgress
from gantk.runs.lock import alone
from gantk.sweeps.crew import Crew
from gantk.sweeps.sweep import ChildState, SweepDisplay


class Trained:
    """A child that is finished as soon as it is started."""

    def __init__(self, job: Job) -> None:
        (job.folder / "status.json").write_text('{"state": "finished"}')

    def poll(self) -> int:
        return 0


class Refused:
    """A child whose run another process works on."""

    def poll(self) -> int:
        return UsageError.exit_code


class Launched:
    """A launcher that records its jobs."""

    workers, here = 0, False

    def __init__(self, make: Callable[[Job], Any]) -> None:
        self.make = make
        self.started: list[str] = []

    def start(self, job: Job) -> Any:
        self.started.append(job.name)
        return self.make(job)


class Watcher(SweepDisplay):
    """Calls back at every look."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__(QuietProgress())
        self.look = then  # type: ignore[method-assign]
        self.ends: list[tuple[str, str]] = []

    def ended(self, child: ChildState) -> None:
        self.ends.append((child.id, child.state))


@pytest.mark.parametrize("begun", ["before", "meanwhile"])
@pytest.mark.parametrize("finishes", [True, False])
def test_a_child_that_another_process_works_on_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: str, finishes: bool
) -> None:
    """For example the job of a sweep whose command was killed; `begun`: before or after the sweep is restarted."""
    monkeypatch.setattr("gantk.sweeps.crew.PAUSE", 0.001)
    children = [ChildState(name, name, tmp_path / name) for name in ("taken", "free")]
    for child in children:
        child.folder.mkdir()
    taken, status = children[0].folder, children[0].folder / "status.json"
    other = contextlib.ExitStack()
    looks: list[str] = []

    def look() -> None:
        looks.append(children[0].state)
        if len(looks) == 3:  # the other process ends
            assert looks == ["running"] * 3
            status.write_text(json.dumps({"state": "finished" if finishes else "interrupted"}))
            other.close()

    def begin(job: Job) -> Any:
        if job.folder == taken and not looks:  # it starts first, after we checked for it
            other.enter_context(alone(taken))
            return Refused()
        return Trained(job)

    status.write_text('{"state": "running"}')
    if begun == "before":
        other.enter_context(alone(taken))
    launcher, display = Launched(begin), Watcher(look)
    Crew(launcher, (), display, StopSignals()).work(children)
    assert [child.state for child in children] == ["finished", "finished"]
    mine = (["taken"] if begun == "meanwhile" else []) + ["free"] + ([] if finishes else ["taken"])
    assert launcher.started == mine
    assert display.ends == [("free", "finished"), ("taken", "finished")]
