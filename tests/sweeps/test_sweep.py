"""Sweeps: real processes, stopped, killed and started again; failures; what MLflow and readers are told."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

import gantk
from gantk.api import checks
from gantk.cli.main import app
from gantk.errors import DataError, Interrupted, PluginError, RecipeError, UsageError
from gantk.files import read_json
from gantk.launching import Job
from gantk.launching.local import Local
from gantk.progress import QuietProgress
from gantk.recipe.variants import load_sweep
from gantk.sweeps.sweep import SweepDisplay, run_sweep
from gantk.training.checkpoint import newest_checkpoint
from kills import held_at_line
from tiny_runs import FORKED
from waiting import until

SWEEP = """
extends = "{base}"
name = "tiny-sweep"
description = "two by two"

[evaluation]
baselines = ["input:t1"]

[variants.full]
label = "Full"
report = ["teacher", "student"]

[variants.flat]
label = "Without map"
"maps.difficulty.enabled" = false

[sweep]
"run.seed" = [0, 1]
"""


#: A child that waits before it says that it is finished, if another child has said it.
HELD_END = """
import json, time, gantk.api.course as module
ended = module.Course._ended
def held(course, state, message):
    ends = time.monotonic() + 600
    others = [path for path in course.folder.parent.glob("*/status.json") if path.parent != course.folder]
    while state == "finished" and time.monotonic() < ends:
        if not any(json.loads(path.read_text())["state"] == "finished" for path in others):
            break
        time.sleep(0.1)
    ended(course, state, message)
module.Course._ended = held
"""


@pytest.fixture
def sweep_recipe(recipe: Path, tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP.format(base=recipe.as_posix()))
    return path


def states(folder: Path) -> dict[str, str]:
    """The children by id with their states on disk."""
    ids = [child["id"] for child in json.loads((folder / "sweep.json").read_text())["children"]]
    found = {}
    for name in ids:
        status = folder / "children" / name / "status.json"
        found[name] = json.loads(status.read_text())["state"] if status.is_file() else "waiting"
    return found


def steps(child: Path) -> int:
    journal = child / "metrics.jsonl"
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@contextlib.contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Suspend the sweep and everything that it started, so that none ends meanwhile."""
    parent = psutil.Process(pid)
    parent.suspend()
    all_of_it = [parent, *parent.children(recursive=True)]
    for process in all_of_it:
        process.suspend()
    yield
    for process in all_of_it:
        process.resume()


def kill_all(pid: int) -> None:
    """Kill the sweep and everything that it started, at once."""
    parent = psutil.Process(pid)
    parent.suspend()  # so that it starts no further one meanwhile
    for process in [*parent.children(recursive=True), parent]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_a_sweep_stopped_and_killed_ends_as_one_that_was_not(
    server: Any, sweep_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("run", sweep_recipe, "--workers", "2", "--device", "cpu")
    parent = tmp_path / "runs" / "tiny-sweep"

    # stopped by a signal: every child saves its state
    process = server.start(tmp_path, *arguments, before=FORKED + held_at_line(2))
    begun = until(lambda: [c for c in (parent / "children").glob("*") if steps(c) > 1] if parent.is_dir() else [])
    with suspended(process.pid):
        listed = CliRunner().invoke(
            app, ["run", str(sweep_recipe), "--list", "--json", "--out", str(tmp_path / "runs")]
        )
    found = {child["state"] for child in json.loads(listed.stdout)["children"]}
    assert found & {"running", "finished"}
    assert "interrupted" not in found  # somebody is at work
    process.kill(signal.SIGTERM)
    assert process.wait() == 130, process.output
    assert "gantk run --resume tiny-sweep" in process.output
    assert "Traceback" not in process.output
    assert json.loads((parent / "status.json").read_text())["state"] == "interrupted"
    assert states(parent)[begun[0].name] in ("interrupted", "finished")
    assert newest_checkpoint(begun[0] / "checkpoints") is not None

    # killed, with all its children, when one child is finished and another is under way
    process = server.start(tmp_path, *arguments, before=FORKED + HELD_END)

    def one_finished_one_under_way() -> list[str]:
        found = states(parent)
        others = [name for name, state in found.items() if state == "running" and steps(parent / "children" / name)]
        finished = [name for name, state in found.items() if state == "finished"]
        return finished if others else []

    finished = until(one_finished_one_under_way)
    kill_all(process.pid)
    assert process.wait() == -signal.SIGKILL
    assert len(finished) < 4
    before = {name: contents(parent / "children" / name) for name in finished}

    # started again, by the folder this time
    process = server.start(tmp_path, "run", "--resume", "tiny-sweep", "--device", "cpu", before=FORKED)
    assert process.wait() == 0, process.output
    assert set(states(parent).values()) == {"finished"}
    assert {name: contents(parent / "children" / name) for name in finished} == before
    assert re.search(rf"4 runs, {len(finished)} finished already", process.output)
    assert "gantk table tiny-sweep" in process.output

    # the same numbers as runs that nothing stopped
    for name in states(parent):
        child = parent / "children" / name
        result = gantk.run(child / "recipe.toml", device="cpu", out=tmp_path / "whole", progress=QuietProgress())
        assert read_json(child / "evaluation" / "summary.json") == result.summary
        facts = json.loads((child / "child.json").read_text())
        assert facts["parent"] == "tiny-sweep"
        assert tomllib.loads((child / "recipe.toml").read_text())["run"]["seed"] == facts["changes"]["run.seed"]
    assert not list(parent.rglob("*.partial-*"))

    # the content of the folder
    table = (parent / "table.md").read_text()
    assert "Full" in table
    assert "Without map" in table
    assert " ± " in table
    said = json.loads((parent / "sweep.json").read_text())
    assert said["recipe"] == "sweep.toml"
    assert [child["label"] for child in said["children"]] == ["Full", "Full", "Without map", "Without map"]
    assert said["children"][0]["report"] == ["teacher", "student"]

    # nothing is left to do for any command
    unchanged = {name: contents(parent / "children" / name) for name in states(parent)}
    monkeypatch.chdir(tmp_path)
    again = run_sweep(sweep_recipe, device="cpu", display=SweepDisplay(QuietProgress()))
    assert again.state == "finished"
    assert {name: contents(parent / "children" / name) for name in states(parent)} == unchanged
    shown = CliRunner().invoke(app, ["run", str(sweep_recipe), "--list", "--json"])
    assert [(c["state"], c["total"]) for c in json.loads(shown.stdout)["children"]] == [("finished", 15)] * 4
    assert "Without map" in CliRunner().invoke(app, ["run", str(sweep_recipe), "--list"]).stdout


def test_one_that_fails_leaves_the_others_alone_and_mlflow_has_all_below_their_parent(
    server: Any, recipe: Path, tmp_path: Path
) -> None:
    """In spawned processes, as in normal use."""
    path = tmp_path / "sweep.toml"
    head, _, rest = SWEEP.format(base=recipe.as_posix()).partition("[variants.full]")
    keys = ("rates.generator", "weight_decay")
    wild = "[variants.wild]\n" + "".join(f'"translators.teacher.optimizer.{key}" = 1e9\n' for key in keys)
    full, _, rest = rest.partition("[variants.flat]")
    path.write_text(f"{head}{wild}[variants.full]{full}[sweep]{rest.partition('[sweep]')[2]}")
    only = [f"tracking.{key}" for key in ("enabled=true", "images=false", "checkpoints=false")]
    only = [part for setting in (*only, "run.seed=0") for part in ("--set", setting)]
    process = server.start(tmp_path, "run", path, *only, "--device", "cpu", "--json")
    assert process.wait() == 1, process.output
    parent = tmp_path / "runs" / "tiny-sweep"
    wild_id, wild_1, full_id, full_1 = states(parent)
    assert states(parent) == {wild_id: "failed", wild_1: "waiting", full_id: "finished", full_1: "waiting"}
    assert f"{wild_id}: " in process.output
    log = parent / "children" / wild_id / "log.txt"
    assert str(log) in process.output
    assert "lower the learning rates" in log.read_text()
    assert json.loads((parent / "status.json").read_text())["state"] == "failed"

    with contextlib.closing(sqlite3.connect(tmp_path / "runs" / "mlflow.db")) as database:
        runs = dict(database.execute("select name, run_uuid from runs"))
        ended = dict(database.execute("select name, status from runs"))
        tags: dict[str, dict[str, str]] = {}
        for run, key, value in database.execute("select run_uuid, key, value from tags"):
            tags.setdefault(run, {})[key] = value
        parameters = dict(database.execute("select run_uuid, value from params where key = 'data.crop'"))
    assert ended == {"tiny-sweep": "FAILED", "wild, seed 0": "FAILED", "full, seed 0": "FINISHED"}
    for name in ("wild, seed 0", "full, seed 0"):
        assert tags[runs[name]]["mlflow.parentRunId"] == runs["tiny-sweep"]
        assert tags[runs[name]]["gantk.sweep"] == "tiny-sweep"
    assert "mlflow.parentRunId" not in tags[runs["tiny-sweep"]]
    note = tags[runs["tiny-sweep"]]["mlflow.note.content"]
    assert note.startswith("two by two")
    assert "| Full" in note
    assert set(parameters) == set(runs.values())
    assert not (parent / "mlflow.db").exists()
    assert not (parent / "children" / "mlflow.db").exists()

    other = tmp_path / "other" / "mlflow.db"
    uri = f"sqlite:///{other.as_posix()}"
    said = CliRunner().invoke(app, ["sync", str(parent), "--tracking-uri", uri])
    assert said.exit_code == 0, said.output
    with contextlib.closing(sqlite3.connect(other)) as database:
        assert dict(database.execute("select name, status from runs")) == ended
        (above,) = database.execute("select run_uuid from runs where name = 'tiny-sweep'").fetchone()
        found = database.execute("select value from tags where key = 'mlflow.parentRunId'").fetchall()
    assert found == [(above,)] * 2


# -- without running a child ----------------------------------------------------------------------------------------


def test_the_list_shows_what_would_run_and_writes_nothing(
    sweep_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", str(sweep_recipe), "--list", "--json", "--set", "run.seed=1"])
    assert result.exit_code == 0, result.stderr
    children = json.loads(result.stdout)["children"]
    assert [(c["label"], c["state"], c["done"], c["total"]) for c in children] == [
        ("Full", "waiting", 0, 15),
        ("Without map", "waiting", 0, 15),
    ]
    assert all("-seed-1-" in child["id"] for child in children)
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


def test_what_only_building_finds_names_variant_and_line(sweep_recipe: Path, tmp_path: Path) -> None:
    text = sweep_recipe.read_text().replace('"maps.difficulty.enabled" = false', '"losses.patchwise.wdith" = 9')
    sweep_recipe.write_text(text)
    line = text.splitlines().index('"losses.patchwise.wdith" = 9') + 1
    for call in (gantk.list_sweep, gantk.run_sweep):
        with pytest.raises(RecipeError, match=r"variant 'flat': .*wdith") as caught:
            call(sweep_recipe, out=tmp_path / "runs")
        assert f"sweep.toml:{line}" in str(caught.value.where)
        assert "width" in str(caught.value.mend)
    assert not (tmp_path / "runs").exists()


def test_a_plugin_that_its_children_began_with_is_gone(sweep_recipe: Path, tmp_path: Path) -> None:
    text = sweep_recipe.read_text()
    sweep_recipe.write_text(text.replace('"maps.difficulty.enabled" = false', '"losses.patchwise.use" = "sharpness"'))
    child = tmp_path / "runs" / str(tomllib.loads(text)["name"]) / "children" / "flat-1"
    child.mkdir(parents=True)
    plugin = {"name": "gantk_sharp", "version": "1.2", "distribution": "gantk-sharp"}
    (child / "environment.json").write_text(json.dumps({"plugins": [plugin]}))
    for call in (gantk.list_sweep, gantk.run_sweep):
        with pytest.raises(PluginError, match="variant 'flat': no plugin supplies the loss 'sharpness'") as caught:
            call(sweep_recipe, out=tmp_path / "runs")
        assert str(caught.value).endswith("pip install gantk-sharp==1.2.")


def test_a_variant_without_data_is_found_before_anything_runs(sweep_recipe: Path, tmp_path: Path) -> None:
    sweep_recipe.write_text(sweep_recipe.read_text().replace('"maps.difficulty.enabled"', '"data.paired_fraction"'))
    sweep_recipe.write_text(sweep_recipe.read_text().replace('fraction" = false', 'fraction" = 1.0'))
    with pytest.raises(DataError, match="variant 'flat'"):  # its group `unpaired` has nobody left
        run_sweep(sweep_recipe, out=tmp_path / "runs", display=SweepDisplay(QuietProgress()))
    assert not (tmp_path / "runs").exists()


def test_the_dry_run_of_a_sweep_plans_every_run_once_and_writes_nothing(
    sweep_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    before = checks.build
    monkeypatch.setattr(checks, "build", lambda recipe, *rest: built.append(recipe.name) or before(recipe, *rest))
    call = ["run", str(sweep_recipe), "--dry-run", "--device", "cpu"]
    result = CliRunner().invoke(app, [*call, "--json"])
    assert result.exit_code == 0, result.stderr
    runs = json.loads(result.stdout)["runs"]
    assert len(built) == len({plan["label"] for plan in runs.values()}) == len(runs) / 2  # seeds are built alike
    assert set(runs) == {child.id for child in gantk.list_sweep(sweep_recipe, out=tmp_path / "runs").children}
    assert all(plan["patients"]["paired"] and plan["stages"] for plan in runs.values())
    shown = CliRunner().invoke(app, call)
    assert all(name.rpartition("-")[0] in shown.stdout for name in runs)
    wrong = CliRunner().invoke(app, [*call, "--set", 'data.inputs=["t1", "t7"]'])
    assert wrong.exit_code != 0
    assert re.search(r"variant '\w+': no patient has a 't7' image", wrong.stderr)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{recipe}", "--workers", "2"], "variants"),
        (["{sweep}", "--launcher", "slrum"], "slrum"),
        (["{sweep}", "--launch", "wrkers=2"], "workers"),
    ],
)
def test_wrong_usage_is_explained(
    recipe: Path, sweep_recipe: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    arguments = [a.format(recipe=recipe, sweep=sweep_recipe) for a in arguments]
    result = CliRunner().invoke(app, ["run", *arguments, "--out", str(tmp_path / "runs"), "--device", "cpu"])
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_sweep_is_not_taken_for_a_run(sweep_recipe: Path, recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several runs"):
        gantk.run(sweep_recipe, out=tmp_path)
    with pytest.raises(UsageError, match="one run"):
        run_sweep(recipe, out=tmp_path)
    with pytest.raises(UsageError, match="not the folder of a sweep"):
        run_sweep(resume=tmp_path)


class Trained:
    """A child that is finished as soon as it is started."""

    def __init__(self, job: Job) -> None:
        (job.folder / "status.json").write_text('{"state": "finished"}')

    def poll(self) -> int:
        return 0


def test_a_part_of_the_grid_is_run_and_the_folder_stays_that_of_the_whole(
    sweep_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def start(launcher: Local, job: Job) -> Trained:
        started.append(job.name)
        return Trained(job)

    monkeypatch.setattr(Local, "start", start)
    monkeypatch.setattr("gantk.sweeps.crew.PAUSE", 0.001)
    whole = {child.id: child.recipe.run.seed for child in load_sweep(sweep_recipe).children}
    out, folder = tmp_path / "runs", tmp_path / "runs" / "tiny-sweep"
    call = ["run", str(sweep_recipe), "--out", str(out), "--device", "cpu", "--json"]

    part = CliRunner().invoke(app, [*call, "--set", "run.seed=1"])
    assert part.exit_code == 0, part.stderr
    said = json.loads(part.stdout)
    assert [child["id"] for child in said["children"]] == started == [id_ for id_ in whole if whole[id_] == 1]
    assert said["state"] == "finished"
    assert "2 runs, 0 finished already" in part.stderr
    assert "the sweep has 2 other unfinished runs" in part.stderr
    assert json.loads((folder / "status.json").read_text())["state"] == "interrupted"  # the whole is not finished
    assert list(states(folder)) == list(whole)
    assert tomllib.loads((folder / "recipe.toml").read_text())["sweep"] == {"run.seed": [0, 1]}
    assert all((folder / "children" / id_ / "recipe.toml").is_file() for id_ in whole)
    before = contents(folder / "children")

    again = CliRunner().invoke(app, [*call, "--set", "run.seed=1"])
    assert (again.exit_code, len(started)) == (0, 2)
    assert contents(folder / "children") == before

    nothing = CliRunner().invoke(app, [*call, "--set", "run.seed=2"])
    assert (nothing.exit_code, len(started)) == (2, 2)
    assert "the grid has run.seed = 0, 1" in nothing.stderr

    rest = run_sweep(resume=folder, device="cpu", display=SweepDisplay(QuietProgress()))
    assert (rest.state, len(rest.children)) == ("finished", 4)
    assert sorted(started) == sorted(whole)
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"


class Endless:
    """A child that does not end before it is killed."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.code: int | None = None
        self.told: list[str] = []
        os.kill(os.getpid(), signal.SIGTERM)  # the sweep is told to stop as soon as it is under way

    def poll(self) -> int | None:
        return self.code

    def stop(self) -> None:
        self.told.append("stop")
        os.kill(os.getpid(), signal.SIGTERM)  # the user loses patience

    def kill(self) -> None:
        self.told.append("kill")
        self.code = -signal.SIGKILL


@pytest.mark.parametrize(("terminal", "workers"), [(True, 1), (True, 2), (False, 1)])
def test_a_second_signal_leaves_no_child_behind(
    sweep_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool, workers: int
) -> None:
    """Also: a single child draws on the terminal itself, otherwise each child has a log."""
    handles: list[Endless] = []

    def start(launcher: Local, job: Job) -> Endless:
        handles.append(Endless(job))
        return handles[-1]

    monkeypatch.setattr(Local, "start", start)
    monkeypatch.setattr("gantk.sweeps.crew.PATIENCE", 0.1)
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: terminal, write=len, flush=lambda: None))
    display = SweepDisplay(QuietProgress())
    with pytest.raises(Interrupted, match="gantk run --resume"):
        run_sweep(sweep_recipe, ["run.seed=0"], out=tmp_path / "runs", workers=workers, device="cpu", display=display)
    assert [handle.told[-1] for handle in handles] == ["kill"] * len(handles)
    assert handles[0].told[0] == "stop"
    folder = tmp_path / "runs" / "tiny-sweep"
    assert json.loads((folder / "status.json").read_text())["state"] == "interrupted"
    job = handles[0].job
    assert job.command[-5:] == ["run", "--resume", str(job.folder), "--device", "cpu"]
    assert job.log == (None if terminal and workers == 1 else job.folder / "log.txt")
