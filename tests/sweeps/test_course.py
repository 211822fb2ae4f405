"""The course of a sweep whose children are started by a launcher: its state, table, notes and failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gantk.api.signals import StopSignals
from gantk.errors import Interrupted
from gantk.launching import Job
from gantk.plugins import Registry
from gantk.recipe.model import TrackingSettings
from gantk.recipe.variants import Child, load_sweep
from gantk.sweeps.course import Course, count_epochs, write_page, write_table
from gantk.sweeps.display import SweepDisplay
from gantk.sweeps.folder import write
from gantk.sweeps.state import SweepFailed, SweepResult
from sweep_recipes import BASE, OTHER, SWEEP
from told import Told


@pytest.fixture
def children(tmp_path: Path) -> list[Child]:
    """The children of a sweep in the folder `runs`."""
    for name, text in (("base", BASE), ("other", OTHER), ("sweep", SWEEP)):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    sweep = load_sweep(tmp_path / "sweep.toml")
    write(tmp_path / "runs", sweep)
    return list(sweep.children)


class Launched:
    """A launcher whose jobs end at once, as `make` says."""

    workers, here = 0, False

    def __init__(self, make: Callable[[Job], int]) -> None:
        self.make = make
        self.jobs: list[Job] = []

    def start(self, job: Job) -> Any:
        self.jobs.append(job)
        code = self.make(job)
        return SimpleNamespace(poll=lambda: code, stop=lambda: None, kill=lambda: None)


def finish(job: Job) -> int:
    (job.folder / "status.json").write_text('{"state": "finished"}')
    return 0


def fail(job: Job) -> int:
    (job.folder / "status.json").write_text('{"state": "failed", "message": "a loss became NaN."}')
    (job.folder / "log.txt").write_text("...")
    return 1


class Carried:
    """A running sweep, and its visible effects."""

    def __init__(self, folder: Path, children: list[Child], selected: list[Child] | None = None) -> None:
        self.told = Told()
        self.signals = StopSignals()
        display = SweepDisplay(self.told)
        self.course = Course(folder, children, selected or children, Registry(), display, self.signals)

    def out(self, launcher: Launched, totals: dict[str, int] | None = None) -> SweepResult:
        settings = TrackingSettings(enabled=False)
        return self.course.carry_out(totals or {}, launcher, ["--device", "cpu"], settings, None)


def status(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "status.json").read_text())


def test_every_child_is_started_once_and_finished_ones_stay(children: list[Child], tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    first = folder / "children" / children[0].id
    (first / "status.json").write_text('{"state": "finished"}')
    carried, launcher = Carried(folder, children), Launched(finish)
    result = carried.out(launcher, {child.id: 7 for child in children})
    assert result.state == "finished"
    assert {job.name for job in launcher.jobs} == {child.id for child in children[1:]}
    assert len(launcher.jobs) == len(children) - 1
    assert all(list(job.command)[-2:] == ["--device", "cpu"] for job in launcher.jobs)
    assert [child.id for child in result.children] == [child.id for child in children]
    assert {child.total for child in result.children} == {7}
    found = status(folder)
    assert (found["state"], found["id"], found["message"]) == ("finished", "runs", "")
    assert (folder / "table.md").read_text().startswith("There is no table: "), "nothing was measured"
    assert (folder / "report.html").is_file()
    assert carried.told.notes == []


def test_one_that_fails_is_named_with_its_reason_and_its_log(children: list[Child], tmp_path: Path) -> None:
    bad = children[1].id
    launcher = Launched(lambda job: fail(job) if job.name == bad else finish(job))
    with pytest.raises(SweepFailed) as caught:
        Carried(tmp_path / "runs", children).out(launcher)
    assert f"1 of {len(children)} runs did not finish" in str(caught.value)
    log = tmp_path / "runs" / "children" / bad / "log.txt"
    assert f"\n  {bad}: a loss became NaN (see {log})" in str(caught.value)
    assert caught.value.result.state == status(tmp_path / "runs")["state"] == "failed"
    assert {child.state for child in caught.value.result.children} == {"finished", "failed"}


def test_a_part_of_a_sweep_tells_what_of_the_whole_is_missing(children: list[Child], tmp_path: Path) -> None:
    carried = Carried(tmp_path / "runs", children, children[:2])
    assert carried.out(Launched(finish)).state == "finished"
    assert status(tmp_path / "runs")["state"] == "interrupted"
    said = f"the sweep has {len(children) - 2} other unfinished runs"
    assert said in carried.told.notes
    rest = Carried(tmp_path / "runs", children, children[2:-1])
    rest.out(Launched(finish))
    assert "the sweep has 1 other unfinished run" in rest.told.notes


def test_an_interrupted_sweep_says_how_to_go_on(children: list[Child], tmp_path: Path) -> None:
    def interrupted(job: Job) -> int:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        Carried(tmp_path / "runs", children).out(Launched(interrupted))
    assert str(caught.value.command).startswith("gantk run --resume ")
    assert status(tmp_path / "runs")["state"] == "interrupted"


def test_seconds_of_several_calls_add_up(children: list[Child], tmp_path: Path) -> None:
    (tmp_path / "runs" / "status.json").write_text('{"state": "interrupted", "seconds": 1000.0, "started": 5.0}')
    Carried(tmp_path / "runs", children).out(Launched(finish))
    found = status(tmp_path / "runs")
    assert 1000 <= found["seconds"] < 1100
    assert found["started"] == 5.0


def test_epochs_of_all_stages_are_counted(children: list[Child], registry: Registry) -> None:
    assert count_epochs(children[0], registry) == 20 + children[0].recipe.schedule.parameters.get("decay_epochs", 0)


def test_what_cannot_be_shown_is_said_and_fails_nothing(tmp_path: Path) -> None:
    write_table(tmp_path)
    assert (tmp_path / "table.md").read_text().startswith("There is no table: ")
    notes: list[str] = []
    write_page(tmp_path, notes.append)
    assert notes
    assert notes[0].startswith("the sweep's report could not be written: ")
