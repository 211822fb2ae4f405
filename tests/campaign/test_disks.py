"""Disks of every size: a full disk ends in one clear error, and the work continues after space is freed."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from disks import disk_of, make_room
from kills import assert_same, partial
from tiny_runs import write_patient

PAGE = 4096


def size(draw: random.Random, smallest: int, largest: int) -> int:
    """A size in bytes, in whole pages; all orders of magnitude are equally likely."""
    chosen = math.exp(draw.uniform(math.log(smallest), math.log(largest)))
    return max(PAGE, int(chosen) // PAGE * PAGE)


def told(process: Any) -> bool:
    """Whether the command failed; checks that the error is one useful paragraph."""
    code, said = process.wait(), process.output
    if code == 0:
        return False
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert code in (1, 2), (code, said)
    assert len(errors) == 1, said
    assert "Traceback" not in said
    assert "unexpectedly" not in said
    assert any(word in said for word in ("No space left", "full", "free disk space", "be written")), said
    return True


def full(
    harms: Any, tmp_path: Path, sample: int, whole: int, largest: int, start: Callable[[Path], Any], check: Any
) -> None:
    """Start a command on disks of many sizes, and again after enlarging each."""
    for one in harms.tries(sample, whole):
        with harms.trying(one):
            bytes_ = size(one.random, PAGE, largest)
            one.done = f"a disk of {bytes_} bytes"
            folder = tmp_path / "disk"
            with disk_of(str(bytes_), folder) as disk:
                if told(start(disk)):
                    harms.count("refused, then done")
                    assert not partial(disk)
                    make_room(disk, "64m")
                    process = start(disk)
                    assert process.wait() == 0, process.output
                else:
                    harms.count("fitted")
                check(disk)


def test_runs(harms: Any, server: Any, recipe: Path, uninterrupted: Any, tmp_path: Path) -> None:
    reference = uninterrupted("plain")
    needed = sum(path.stat().st_size + PAGE for path in reference.rglob("*"))

    def start(disk: Path) -> Any:
        runs = [path for path in disk.iterdir() if not path.name.startswith(".")]
        return server.start(tmp_path, "run", *(("--resume", runs[0]) if runs else (recipe, "--out", disk)))

    def check(disk: Path) -> None:
        (run,) = disk.iterdir()
        assert_same(run, reference)

    full(harms, tmp_path, 1, 60, 2 * needed, start, check)


def test_slices(harms: Any, server: Any, recipe: Path, uninterrupted: Any, tmp_path: Path) -> None:
    reference = uninterrupted("plain")

    def start(disk: Path) -> Any:
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        own = f"import os; os.environ['GANTK_CACHE'] = {str(disk)!r}"
        return server.start(tmp_path, "run", recipe, before=own)

    def check(disk: Path) -> None:
        (run,) = (tmp_path / "runs").iterdir()
        assert_same(run, reference)

    full(harms, tmp_path, 1, 40, 2**20, start, check)


def test_phantom(harms: Any, server: Any, tmp_path: Path) -> None:
    here = "import gantk.phantom.write as write; write.cores = lambda: 1"

    def start(disk: Path) -> Any:
        command = ("data", "phantom", disk / "out", "--subjects", "2", "--spacing", "8")
        return server.start(tmp_path, *command, before=here)

    full(harms, tmp_path, 1, 30, 2**18, start, lambda disk: None)


def test_predict(harms: Any, server: Any, uninterrupted: Any, tmp_path: Path) -> None:
    patient = write_patient(tmp_path / "P0", 0)

    def start(disk: Path) -> Any:
        return server.start(tmp_path, "predict", uninterrupted("plain"), patient, "--out", disk / "a.nii.gz")

    def check(disk: Path) -> None:
        assert [path.name for path in disk.iterdir()] == ["a.nii.gz"]

    full(harms, tmp_path, 1, 40, 2**16, start, check)


def test_sync(harms: Any, server: Any, uninterrupted: Any, tmp_path: Path) -> None:
    """The disk of the store."""
    run = Path(shutil.copytree(uninterrupted("plain"), tmp_path / "runs" / "whole"))

    def start(disk: Path) -> Any:
        (run / "tracking.json").unlink(missing_ok=True)
        return server.start(tmp_path, "sync", run, "--tracking-uri", f"sqlite:///{disk}/store/mlflow.db")

    full(harms, tmp_path, 1, 40, 2**22, start, lambda disk: None)


def test_report(harms: Any, server: Any, uninterrupted: Any, tmp_path: Path) -> None:
    """The run's disk is as full as it was when the run ended."""
    reference = uninterrupted("plain")
    drawn = "import importlib, gantk.report.html as html; importlib.reload(html)"
    needed = sum(-(-path.stat().st_size // PAGE) * PAGE + PAGE for path in reference.rglob("*"))
    for one in harms.tries(1, 20):
        with harms.trying(one):
            more = size(one.random, PAGE, 2**20)
            one.done = f"a disk with {more} bytes besides the run"
            with disk_of(str(needed + more), tmp_path / "disk") as disk:
                run = Path(shutil.copytree(reference, disk / reference.name))
                if told(server.start(tmp_path, "report", run, before=drawn)):
                    harms.count("refused, then done")
                    make_room(disk, "64m")
                    assert server.start(tmp_path, "report", run, before=drawn).wait() == 0
                else:
                    harms.count("fitted")
                assert not partial(disk)
                assert (run / "report.html").read_text().rstrip().endswith("</html>")
