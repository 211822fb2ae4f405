"""Children that notice the death of their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from waiting import until

CHILD = """
import signal, sys, time
from gantk.launching.lifeline import hold
signal.signal(signal.SIGTERM, lambda *_: (open("saved", "w").close(), sys.exit(130)))
hold()
open("ready", "w").close()
for _ in range(6000):
    time.sleep(0.1)  # a signal just before a long sleep would be noticed after it
"""
PARENT = """
import sys, time
from pathlib import Path
from gantk.launching import Job
from gantk.launching.local import Local
handle = Local().start(Job("a", [sys.executable, "-c", sys.argv[1]], Path("."), Path("log.txt")))
other = Local().start(Job("b", [sys.executable, "-S", "-c", "import time; time.sleep(600)"], Path("."), Path("b.txt")))
print(other.process.pid, flush=True)
time.sleep(600)
"""


def test_a_child_saves_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Even if another child, which inherited all open files, is still alive."""
    command = [sys.executable, "-c", PARENT, CHILD]
    parent = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    other = int(parent.stdout.readline())
    try:
        until((tmp_path / "ready").exists)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        until((tmp_path / "saved").exists)
        os.kill(other, 0)  # it is alive
    finally:
        parent.kill()
        os.kill(other, signal.SIGKILL)
        parent.stdout.close()


def test_without_a_lifeline_there_is_nothing_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from gantk.launching.lifeline import VARIABLE, hold

    monkeypatch.delenv(VARIABLE, raising=False)
    before = set(threading.enumerate())
    hold()
    monkeypatch.setenv(VARIABLE, "nonsense")
    hold()
    assert set(threading.enumerate()) <= before
