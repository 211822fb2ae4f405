"""One run on two processes, as the command line starts them, and ways to hold and kill one of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from waiting import until

#: Batches that two processes can share.
EVEN = ("--set", "data.batch.paired=2", "--set", "data.batch.unpaired=2")

#: A process that waits between two steps for a signal, as soon as there is a checkpoint; the other ends later than it.
HELD = """
import os
if os.environ.get("RANK") == "{rank}":
    import time, gantk.api.signals as signals, gantk.training.engine as engine
    stopping, handle = engine.Engine.stopping, signals.StopSignals._handle
    told = []
    def held(self):
        ends = time.monotonic() + 600
        while any(self.checkpoints.glob("step-*")) and not told and time.monotonic() < ends:
            open("held", "w").close()
            time.sleep(0.01)
        return stopping(self)
    def heard(self, *given):
        told.append(1)
        handle(self, *given)
    engine.Engine.stopping, signals.StopSignals._handle = held, heard
elif "RANK" in os.environ:
    import time, gantk.api.course as course, torch.distributed as groups
    train, destroy = course.Course._train, groups.destroy_process_group
    def slow(*given):
        try:
            train(*given)
        except BaseException:
            time.sleep(1)
            raise
    def late(*given):
        time.sleep(1)
        destroy(*given)
    course.Course._train, groups.destroy_process_group = slow, late
"""


def start(folder: Path, *arguments: str | Path, held: int | None = None) -> subprocess.Popen[str]:
    """`gantk run … --processes 2` in a folder; `hit_held` ends the wait of the process `held`."""
    command = [sys.executable, "-m", "gantk", "run", *map(str, arguments), "--processes", "2"]
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if held is not None:
        (folder / "patch").mkdir()
        (folder / "patch" / "sitecustomize.py").write_text(HELD.format(rank=held))
        paths = [str(folder / "patch"), *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def hit(gantk: subprocess.Popen[str], rank: int, number: int = signal.SIGKILL) -> bool:
    """Send a signal to one of the processes; False if it has not started or has ended."""
    try:
        for process in psutil.Process(gantk.pid).children():
            if process.environ().get("RANK") == str(rank):
                process.send_signal(number)
                return True
    except psutil.Error:
        pass
    return False


def hit_held(gantk: subprocess.Popen[str], folder: Path, rank: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to the process that `start` holds, as soon as it waits; the run has a checkpoint then."""
    until(lambda: (folder / "held").exists() or gantk.poll() is not None)
    assert gantk.poll() is None, gantk.communicate()[0]
    assert hit(gantk, rank, number)
