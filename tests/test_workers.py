"""Work in other processes: for scripts without a guard, for jobs that fail, and past processes that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gantk.progress import QuietProgress
from gantk.workers import cores, in_processes

SCRIPT = """
import os, signal, sys
from gantk.progress import QuietProgress
from gantk.workers import in_processes

class Loud(QuietProgress):
    def note(self, text):
        print(text)

def work(number):
    if number == 2 and {deadly} and os.getpid() != {parent}:
        os.kill(os.getpid(), signal.SIGKILL)
    return number, os.getpid() == {parent}

print("the script runs")
print(sorted(in_processes(work, [(n,) for n in range(4)], 2, Loud())))
"""


def said_by(tmp_path: Path, *, deadly: bool) -> list[str]:
    script = tmp_path / "script.py"
    # the parent's id is written into the functions that travel
    script.write_text(SCRIPT.format(deadly=deadly, parent="parent").replace("class", "parent = os.getpid()\nclass", 1))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=True)
    return done.stdout.splitlines()


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    said = said_by(tmp_path, deadly=False)
    assert said == ["the script runs", str([(n, False) for n in range(4)])]


def test_what_a_killed_process_left_is_done_in_this_one(tmp_path: Path) -> None:
    first, note, result = said_by(tmp_path, deadly=True)
    assert first == "the script runs"
    assert "A worker process died" in note
    assert "(2, True)" in result
    assert [number for number, _ in eval(result)] == [0, 1, 2, 3]


def test_what_a_job_raises_is_raised_here() -> None:
    with pytest.raises(FileNotFoundError):
        list(in_processes(os.listdir, [("/",), ("/no such folder",)], 2, QuietProgress()))


INTERRUPTED = """
import signal, time
from joblib.externals.loky.process_executor import ProcessPoolExecutor
from gantk.progress import QuietProgress
from gantk.workers import in_processes

signal.signal(signal.{number}, signal.default_int_handler)
whole = ProcessPoolExecutor.{moment}
came = []

def interrupted(self):
    if not came:
        came.append(signal.raise_signal(signal.{number}))
    whole(self)

ProcessPoolExecutor.{moment} = interrupted
try:
    list(in_processes(time.sleep, [(0.01,)] * 4, 2, QuietProgress()))
except KeyboardInterrupt as error:
    kept = error
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        ("SIGINT", "_adjust_process_count"),  # before any process runs
        ("SIGINT", "_start_executor_manager_thread"),  # when they run, and nobody watches them yet
        ("SIGTERM", "_start_executor_manager_thread"),
    ],
)
def test_an_interrupt_while_processes_start_ends_them(tmp_path: Path, number: str, moment: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED.format(number=number, moment=moment))
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said, wrong = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert said == "interrupted\n", wrong


def test_an_interrupt_that_was_ignored_before_is_ignored_still() -> None:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert sorted(in_processes(abs, [(-1,), (-2,)], 2, QuietProgress())) == [1, 2]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)


def test_processes_are_one_per_core_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gantk.workers.cores", lambda: 1)
    assert list(in_processes(os.getpid, [(), ()], None, QuietProgress())) == [os.getpid()] * 2
    monkeypatch.setattr("gantk.workers.cores", lambda: 2)
    assert os.getpid() not in list(in_processes(os.getpid, [(), ()], None, QuietProgress()))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_only_cores_that_this_process_may_use_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5})
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cores() == 2
