"""The protocol of launchers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Handle", "Job", "Launcher"]


@dataclass(frozen=True)
class Job:
    """One run to start.

    Args:
        name: the run's id.
        command: the program and its arguments; exit code 0 means that the run is finished.
        folder: the run's folder.
        log: the file for the command's output; default: the output of this process.
    """

    name: str
    command: Sequence[str]
    folder: Path
    log: Path | None = None


class Handle(Protocol):
    """A running job."""

    def poll(self) -> int | None:
        """The exit code, negative if a signal ended the job; None while it runs."""

    def stop(self) -> None:
        """Ask the job to save and end; a second call asks it to end immediately."""

    def kill(self) -> None:
        """Kill the job."""


class Launcher(Protocol):
    """Starts jobs: a component of kind `launcher`; the command line sets its constructor's arguments.

    Attributes:
        workers: largest number of jobs at once; 0 for all.
        here: whether jobs run on this machine and may write to this terminal.
    """

    workers: int
    here: bool

    def start(self, job: Job) -> Handle:
        """Start a job and return immediately.

        Raises:
            GantkError: the job cannot be started.
        """
