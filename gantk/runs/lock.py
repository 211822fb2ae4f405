"""The lock of a run's folder: one process works on it at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gantk.errors import UsageError

__all__ = ["alone", "is_busy"]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock a run's folder against other processes; the lock is released when the process ends, even if killed.

    Raises:
        UsageError: another process works on the run.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            "another process is working on this run", where=folder, mend="wait for it, or stop it first"
        ) from None
    except OSError as error:
        raise UsageError(
            "the run's folder cannot be written",
            where=folder,
            why=error,
            mend="correct its permissions, or copy the folder",
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_busy(folder: Path, *, unknown: bool = True) -> bool:
    """Whether a process works on the run or sweep; `unknown` is returned if that cannot be determined."""
    if not (folder / ".lock").is_file():
        return False
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return unknown
    lock.release()
    return False
