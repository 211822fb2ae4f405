"""The launcher `local`: exit codes, logs, signals, threads, and children that notice their parent's death."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from gantk.errors import TrainingError
from gantk.launching import Handle, Job
from gantk.launching.local import Local
from waiting import until


def job(folder: Path, code: str, log: bool = True) -> Job:
    return Job("a", [sys.executable, "-S", "-c", code], folder, folder / "log.txt" if log else None)


def ended(handle: Handle) -> int:
    until(lambda: handle.poll() is not None)
    code = handle.poll()
    assert code is not None
    return code


@pytest.mark.parametrize(("code", "wanted"), [("pass", 0), ("raise SystemExit(3)", 3)])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: str, wanted: int) -> None:
    assert ended(Local().start(job(tmp_path, code))) == wanted


def test_output_goes_to_the_log_and_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        code = f"import sys; print('{word} out', flush=True); print('{word} err', file=sys.stderr)"
        assert ended(Local().start(job(tmp_path, code))) == 0
    assert (tmp_path / "log.txt").read_text() == "first out\nfirst err\nsecond out\nsecond err\n"


def test_without_a_log_it_writes_where_its_parent_writes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert ended(Local().start(job(tmp_path, "print('here')", log=False))) == 0
    assert capfd.readouterr().out == "here\n"


def test_a_killed_child_is_noticed(tmp_path: Path) -> None:
    handle = Local().start(job(tmp_path, "import time; time.sleep(600)"))
    assert handle.poll() is None
    handle.kill()
    assert handle.poll() == -signal.SIGKILL


def test_stop_is_one_sigterm_and_a_terminals_interrupt_is_none(tmp_path: Path) -> None:
    code = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("term", flush=True), sys.exit(130)))
print(os.getpgrp() == os.getpid(), flush=True)
for _ in range(6000):
    time.sleep(0.1)  # `signal.pause` would miss a signal just before it
"""
    handle = Local().start(job(tmp_path, code))
    until(lambda: (tmp_path / "log.txt").read_text() == "True\n")  # a group of its own: Ctrl-C does not reach it
    handle.stop()
    assert ended(handle) == 130
    assert (tmp_path / "log.txt").read_text() == "True\nterm\n"
    handle.stop()  # too late: no error


@pytest.mark.parametrize(("workers", "said", "wanted"), [(1, None, "None"), (2, None, "3"), (2, "5", "5")])
def test_several_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, said: str | None, wanted: str
) -> None:
    monkeypatch.setattr("gantk.launching.local.cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS")
    if said:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert ended(Local(workers).start(job(tmp_path, "import os; print(os.environ.get('OMP_NUM_THREADS'))"))) == 0
    assert (tmp_path / "log.txt").read_text() == f"{wanted}\n"


def test_what_cannot_start_says_so_and_leaves_no_pipe(tmp_path: Path) -> None:
    pipes = Path("/proc/self/fd")  # Linux
    before = len(list(pipes.iterdir())) if pipes.is_dir() else 0
    with pytest.raises(TrainingError, match="cannot be started"):
        Local().start(Job("a", [str(tmp_path / "nothing")], tmp_path, tmp_path / "log.txt"))
    if before:
        assert len(list(pipes.iterdir())) == before
