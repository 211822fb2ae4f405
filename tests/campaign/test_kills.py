"""A process killed (SIGKILL) at any change that it makes on the disk, or at any moment, and started again.

Afterwards weights, rows and points equal those of an undisturbed process, and no leftovers remain.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gantk.tracking import sync
from gantk.training.checkpoint import newest_checkpoint
from kills import assert_same, journal, killed, killed_at_change, partial
from ranks import EVEN, hit, start
from tiny_runs import FORKED, write_patient
from waiting import until


class Killer:
    """Starts commands that are killed at their n-th change of a folder."""

    def __init__(self, server: Any, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.counter = folder / "changes.txt"

    def changes(self, watched: Path, *command: str | Path, before: str = "") -> int:
        """How many changes the command makes, when nothing kills it."""
        process = self._start(watched, 0, command, before)
        assert process.wait() == 0, process.output
        return int(self.counter.read_text())

    def kill(self, watched: Path, number: int, *command: str | Path, before: str = "") -> bool:
        """Whether the command died at that change; if it makes fewer changes, it must succeed."""
        process = self._start(watched, number, command, before)
        code = process.wait()
        assert code in (0, -signal.SIGKILL), process.output
        return code != 0

    def finish(self, *command: str | Path, before: str = "") -> str:
        """Wait for the end of a command; returns its output."""
        process = self.server.start(self.folder, *command, before=before)
        assert process.wait() == 0, process.output
        return process.output

    def _start(self, watched: Path, number: int, command: tuple[str | Path, ...], before: str) -> Any:
        self.counter.unlink(missing_ok=True)
        return self.server.start(
            self.folder, *command, before=before + "\n" + killed_at_change(watched, number, self.counter)
        )


@pytest.fixture
def killer(server: Any, tmp_path: Path) -> Killer:
    return Killer(server, tmp_path)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[str], Path]:
    """An empty folder for a try."""

    def make(name: str) -> Path:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        return tmp_path / name

    return make


def runs_of(folder: Path) -> list[Path]:
    return [path for path in folder.glob("runs/*") if not path.name.startswith(".") and path.is_dir()]


def leftovers(folder: Path) -> list[Path]:
    return [*partial(folder), *folder.rglob("*.tmp")]


def test_runs(harms: Any, killer: Killer, fresh: Any, recipe: Path, uninterrupted: Any, tmp_path: Path) -> None:
    """From the run's folder to its evaluation: killed one to three times, then resumed."""
    reference = uninterrupted("plain")
    total = killer.changes(fresh("runs"), "run", recipe)
    for one in harms.tries(1, 60):
        with harms.trying(one):
            fresh("runs")
            places = [one.random.randint(1, total) for _ in range(one.random.randint(1, 3))]
            one.done = f"killed at the changes {places} of {total}"
            for place in places:
                runs = runs_of(tmp_path)
                killer.kill(tmp_path / "runs", place, *(("run", "--resume", runs[0].name) if runs else ("run", recipe)))
            runs = runs_of(tmp_path)
            killer.finish(*(("run", "--resume", runs[0].name) if runs else ("run", recipe)))
            (run,) = runs_of(tmp_path)
            assert_same(run, reference)
            assert not leftovers(tmp_path)


def test_runs_at_any_moment(
    harms: Any, server: Any, fresh: Any, recipe: Path, uninterrupted: Any, tmp_path: Path
) -> None:
    """Killed after a random time, for example in the middle of a step."""
    reference = uninterrupted("plain")
    began = time.monotonic()
    fresh("runs")
    assert server.start(tmp_path, "run", recipe).wait() == 0
    lasts = time.monotonic() - began
    for one in harms.tries(1, 60):
        with harms.trying(one):
            fresh("runs")
            moments = [one.random.uniform(0, lasts) for _ in range(one.random.randint(1, 4))]
            one.done = f"killed after {', '.join(f'{moment:.2f}' for moment in moments)} s"
            for moment in [*moments, None]:
                runs = runs_of(tmp_path)
                process = server.start(tmp_path, *(("run", "--resume", runs[0].name) if runs else ("run", recipe)))
                if moment is not None:
                    time.sleep(moment)
                    process.kill()
                code = process.wait()
                assert code == 0 if moment is None else code in (0, -signal.SIGKILL), process.output
            (run,) = runs_of(tmp_path)
            assert_same(run, reference)
            assert not leftovers(tmp_path)


def test_one_of_two_processes(harms: Any, fresh: Any, recipe: Path, tmp_path: Path) -> None:
    """Any process of one run is killed, at any moment; the others end by themselves, and the run resumes."""
    began = time.monotonic()
    reference = start(fresh("alone"), recipe, *EVEN)
    said, _ = reference.communicate(timeout=600)
    assert reference.returncode == 0, said
    (whole,) = runs_of(tmp_path / "alone")
    lasts = time.monotonic() - began
    for one in harms.tries(1, 10):
        with harms.trying(one):
            folder = fresh("together")
            moment, rank = one.random.uniform(0, lasts), one.random.randrange(2)
            one.done = f"process {rank} killed after {moment:.1f} s"
            gantk = start(folder, recipe, *EVEN)
            time.sleep(moment)
            while not hit(gantk, rank) and gantk.poll() is None:
                time.sleep(0.05)
            said, _ = gantk.communicate(timeout=300)
            runs = runs_of(folder)
            again = start(folder, *(("--resume", runs[0].name) if runs else (recipe, *EVEN)))
            said, _ = again.communicate(timeout=600)
            assert again.returncode == 0, said
            (run,) = runs_of(folder)
            assert_same(run, whole)
            assert not leftovers(folder)


def test_slice_preparation(
    harms: Any, killer: Killer, fresh: Any, recipe: Path, uninterrupted: Any, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    own = f"import os; os.environ['GANTK_CACHE'] = {str(cache)!r}"
    short = [part for key in ("teacher_epochs", "joint_epochs") for part in ("--set", f"schedule.{key}=1")]
    command = ("run", recipe, *short, "--set", "schedule.rewind=0")
    fresh("cache")
    total = killer.changes(cache, *command, before=own)
    expected = stored(cache)
    for one in harms.tries(1, 40):
        with harms.trying(one):
            fresh("runs"), fresh("cache")
            place = one.random.randint(1, total)
            one.done = f"killed at change {place} of {total}"
            killer.kill(cache, place, *command, before=own)
            killer.finish(*command, before=own)
            assert stored(cache) == expected
            assert not leftovers(tmp_path)


def stored(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_phantom(harms: Any, killer: Killer, fresh: Any, tmp_path: Path) -> None:
    out = tmp_path / "phantom"
    here = "import gantk.phantom.write as write; write.cores = lambda: 1"
    command = ("data", "phantom", out, "--subjects", "2", "--spacing", "8")
    total = killer.changes(out, *command, before=here)
    expected = stored(out)
    for one in harms.tries(1, 40):
        with harms.trying(one):
            fresh("phantom")
            place = one.random.randint(1, total)
            one.done = f"killed at change {place} of {total}"
            killer.kill(out, place, *command, before=here)
            killer.finish(*command, before=here)
            assert stored(out) == expected


def test_predict(harms: Any, killer: Killer, fresh: Any, uninterrupted: Any, tmp_path: Path) -> None:
    run, out = uninterrupted("plain"), tmp_path / "out"
    patient = write_patient(tmp_path / "P0", 0)
    command = ("predict", run, patient, "--out", out / "a.nii.gz")
    out.mkdir()
    total = killer.changes(out, *command)
    expected = stored(out)
    for one in harms.tries(1, 60):
        with harms.trying(one):
            fresh("out").mkdir()
            place = one.random.randint(1, total)
            one.done = f"killed at change {place} of {total}"
            killer.kill(out, place, *command)
            assert stored(out).get("a.nii.gz") in (None, expected["a.nii.gz"])
            killer.finish(*command, "--overwrite")  # it may have been killed after the file was written
            assert stored(out) == expected


def test_report(harms: Any, killer: Killer, uninterrupted: Any, tmp_path: Path) -> None:
    run = Path(shutil.copytree(uninterrupted("plain"), tmp_path / "runs" / "whole"))
    drawn = "import importlib, gantk.report.html as html; importlib.reload(html)"
    total = killer.changes(run, "report", run, before=drawn)
    for one in harms.tries(1, 20):
        with harms.trying(one):
            (run / "report.html").unlink(missing_ok=True)
            place = one.random.randint(1, total)
            one.done = f"killed at change {place} of {total}"
            killer.kill(run, place, "report", run, before=drawn)
            killer.finish("report", run, before=drawn)
            assert (run / "report.html").read_text().rstrip().endswith("</html>")
            assert not leftovers(run)


SWEEP = """
extends = "{base}"
name = "two"
[schedule]
teacher_epochs = 1
joint_epochs = 1
rewind = 0
[sweep]
"run.seed" = [0, 1]
"""


def test_sweeps(harms: Any, killer: Killer, fresh: Any, recipe: Path, tmp_path: Path) -> None:
    """The sweep or one of its children is killed; after a restart, it ends like an undisturbed sweep."""
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP.format(base=recipe.as_posix()))
    command = ("run", path, "--workers", "1", "--device", "cpu")
    parent = tmp_path / "runs" / "two"
    total = killer.changes(tmp_path / "runs", *command, before=FORKED)

    def results() -> dict[str, Any]:
        found = {}
        for child in sorted(parent.glob("children/*")):
            checkpoint = newest_checkpoint(child / "checkpoints")
            assert checkpoint is not None
            rows = (child / "evaluation" / "patients.csv").read_bytes()
            found[child.name] = checkpoint.facts["sha256"], rows, journal(child)
        return found

    expected = results()
    for one in harms.tries(1, 20):
        with harms.trying(one):
            fresh("runs")
            place = one.random.randint(1, total)
            one.done = f"killed at change {place} (of any process; the sweep makes {total} without its children)"
            process = killer._start(tmp_path / "runs", place, command, FORKED)
            assert process.wait() in (0, 1, -signal.SIGKILL), process.output
            until(lambda: not alive(parent))
            killer.finish(*command, before=FORKED)
            assert results() == expected
            assert not leftovers(tmp_path)


def alive(parent: Path) -> list[int]:
    """Children of a killed sweep that still work."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline", "status", "cwd"]):
        if process.info["cwd"] == str(parent.parents[1]) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def points(database: Path) -> list[Any]:
    """Values, parameters and tags that belong to the runs themselves, without times and ids."""
    with closing(sqlite3.connect(database)) as connection:
        metrics = connection.execute("SELECT key, value, step FROM metrics ORDER BY 1, 3, 2").fetchall()
        params = connection.execute("SELECT key, value FROM params ORDER BY 1").fetchall()
        runs = connection.execute("SELECT name, status FROM runs").fetchall()
    return [metrics, params, runs]


def test_sync(harms: Any, uninterrupted: Any, tmp_path: Path) -> None:
    """Into a store that is made meanwhile: killed before any statement that changes the database, then again."""
    run = Path(shutil.copytree(uninterrupted("plain"), tmp_path / "runs" / "whole"))
    sync(run, f"sqlite:///{tmp_path}/whole/mlflow.db")
    expected = points(tmp_path / "whole" / "mlflow.db")
    for one in harms.tries(1, 40):
        with harms.trying(one):
            store = tmp_path / f"store-{one.number}"  # MLflow keeps in memory what it knows of a store's path
            uri = f"sqlite:///{store}/mlflow.db"
            (run / "tracking.json").unlink(missing_ok=True)
            place = one.random.choice([one.random.randint(1, 250), one.random.randint(250, 420)])
            one.done = f"killed before statement {place}"
            try:
                killed(lambda uri=uri: sync(run, uri), place)
            except AssertionError:
                harms.count("no kill: fewer statements")
            sync(run, uri)
            assert points(store / "mlflow.db") == expected
            names = sorted(path.name for path in store.iterdir())
            assert names == ["mlartifacts", "mlflow.db", "mlflow.db.lock"], names
