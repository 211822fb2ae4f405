"""One process at a time works on a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gantk.errors import UsageError
from gantk.runs.lock import alone, is_busy

HOLD = """
import sys
from pathlib import Path
from gantk.runs.lock import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_busy_until_the_process_that_works_on_it_ends(tmp_path: Path) -> None:
    assert not is_busy(tmp_path)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert is_busy(tmp_path)
        with pytest.raises(UsageError, match="another process is working on this run"), alone(tmp_path):
            pass
        other.kill()
    assert not is_busy(tmp_path)
    with alone(tmp_path):
        assert (tmp_path / ".lock").is_file()


def test_a_folder_that_is_not_there_cannot_be_worked_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"), alone(tmp_path / "file" / "run"):
        pass


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone(tmp_path):
        raise ZeroDivisionError
    assert not is_busy(tmp_path)
