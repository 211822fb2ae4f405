"""One run on two processes, as the command line starts them, and a way to kill one of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

#: Batches that two processes can share.
EVEN = ("--set", "data.batch.paired=2", "--set", "data.batch.unpaired=2")


def start(folder: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """`gantk run … --processes 2` in a folder."""
    command = [sys.executable, "-m", "gantk", "run", *map(str, arguments), "--processes", "2"]
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
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
