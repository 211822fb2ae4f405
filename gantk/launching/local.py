"""The launcher `local`: a process per run on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

from gantk.errors import TrainingError
from gantk.launching.job import Handle, Job
from gantk.launching.lifeline import VARIABLE
from gantk.ranges import Whole
from gantk.workers import cores

__all__ = ["Local"]


class Local:
    """Runs on this machine, each in its own process.

    Simultaneous runs share the cores: each gets OMP_NUM_THREADS = cores / workers, unless it is set.

    Args:
        workers: largest number of runs at once.
    """

    here = True

    def __init__(self, workers: Whole = 1) -> None:
        self.workers = max(workers, 1)

    def start(self, job: Job) -> Handle:
        return _Process(job, self._environment())

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self.workers > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(cores() // self.workers, 1)))
        return environment


class _Process:
    """A separate process group, so that Ctrl-C in a terminal reaches it only once, through the sweep.

    It holds the reading end of a pipe, by which it notices the end of this process.
    """

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        reading, self._lifeline = os.pipe()
        try:
            log = None if job.log is None else job.log.open("ab")
            try:
                self.process = subprocess.Popen(
                    list(job.command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment | {VARIABLE: str(reading)},
                    pass_fds=[reading],
                    start_new_session=True,
                )
            finally:
                if log is not None:
                    log.close()
        except OSError as error:
            os.close(self._lifeline)
            raise TrainingError("the run's process cannot be started", where=job.folder, why=error) from error
        finally:
            os.close(reading)

    def poll(self) -> int | None:
        code = self.process.poll()
        if code is not None and self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        return code

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
