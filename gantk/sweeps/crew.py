"""Running the children of a sweep: a launcher starts a limited number at once, and each is watched until it ends."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from gantk.api.signals import StopSignals
from gantk.errors import Interrupted, TrainingError, UsageError
from gantk.launching import Handle, Job, Launcher
from gantk.runs.folders import Status
from gantk.runs.lock import is_busy
from gantk.sweeps.display import SweepDisplay
from gantk.sweeps.state import ChildState

__all__ = ["COMMAND", "Crew"]

#: The command `gantk`; -P prevents files in the working directory from being imported as modules.
COMMAND = (sys.executable, "-P", "-m", "gantk")
#: Seconds between two checks of the children.
PAUSE = 0.2
#: Seconds for children to end after the second signal.
PATIENCE = 10.0


class Crew:
    """Runs the children of a sweep.

    Args:
        launcher: starts the children.
        options: options of `gantk run`, for every child.
        display: receives the progress.
        signals: the signals received from the user; the first asks the children to end, after the second
            those that do not end in time are killed.
    """

    def __init__(self, launcher: Launcher, options: Sequence[str], display: SweepDisplay, signals: StopSignals) -> None:
        self.launcher, self.options = launcher, options
        self.display, self.signals = display, signals
        #: The children write to this terminal themselves.
        self.inherit = launcher.here and launcher.workers == 1 and sys.stderr.isatty()
        self._waiting: list[ChildState] = []
        #: Children that another process works on, such as a job whose sweep was killed.
        self._elsewhere: set[str] = set()

    def work(self, waiting: list[ChildState]) -> None:
        """Start the children in this order, up to the launcher's limit at once, until none is left.

        If another process works on a child, wait for that process, and start the child if it did not finish.

        Raises:
            KeyboardInterrupt: a second signal was received; no child is still running.
        """
        self._waiting = list(waiting)
        running: list[tuple[ChildState, Handle]] = []
        told = False
        self.signals.training = True
        try:
            while running or (self._waiting and not told):
                while not told and (not self.launcher.workers or len(running) < self.launcher.workers):
                    state = self._next()
                    if state is None:
                        break
                    handle = self._start(state)
                    if handle is not None:
                        running.append((state, handle))
                        self.display.started(state)
                time.sleep(PAUSE)
                running = [pair for pair in running if not self._has_ended(*pair)]
                self.display.look()
                if self.signals.asked and not told:
                    told = True
                    _each(handle.stop for _, handle in running)
        except BaseException:  # a second signal: no child may outlive its sweep
            with suppress(KeyboardInterrupt):  # a third signal: kill the children at once
                _each(handle.stop for _, handle in running)
                ends = time.monotonic() + PATIENCE
                while time.monotonic() < ends and any(handle.poll() is None for _, handle in running):
                    time.sleep(PAUSE / 2)
            for state, handle in running:
                if handle.poll() is None:
                    handle.kill()
                self._has_ended(state, handle)
            raise
        finally:
            self.signals.training = False
            self.display.end()

    def _next(self) -> ChildState | None:
        """The first waiting child that no other process works on."""
        for state in tuple(self._waiting):
            if is_busy(state.folder, unknown=False):
                self._leave(state)
                continue
            self._waiting.remove(state)
            state.look(alive=False)
            if state.state != "finished":
                return state
            self.display.ended(state)  # the other process finished it
        return None

    def _leave(self, state: ChildState) -> None:
        """Leave a child to the other process that works on it."""
        if state.id not in self._elsewhere:
            self._elsewhere.add(state.id)
            self.display.note(f"{state.id}: waiting for another process that is running it")
        state.look(alive=True)

    def _start(self, state: ChildState) -> Handle | None:
        """Start a child; None if it cannot start, which does not affect the others."""
        command = [*COMMAND, "run", "--resume", str(state.folder), *self.options]
        try:
            handle = self.launcher.start(Job(state.id, command, state.folder, None if self.inherit else state.log))
        except TrainingError as error:
            state.state, state.message = "failed", str(error)
            self.display.ended(state)
            return None
        state.state, state.message = "running", ""
        return handle

    def _has_ended(self, state: ChildState, handle: Handle) -> bool:
        code = handle.poll()
        state.look(alive=code is None)
        if code is None:
            return False
        if code == UsageError.exit_code and (state.state == "finished" or is_busy(state.folder, unknown=False)):
            self._leave(state)  # another process took it before this job began
            self._waiting.append(state)
            return True
        if code == 0:
            state.state, state.message = "finished", ""
        elif code == Interrupted.exit_code or (
            self.signals.asked and (code < 0 or state.state in ("interrupted", "waiting"))
        ):
            state.state = "interrupted"
        else:
            state.state = "failed"
            if code < 0:
                state.message = f"its process was killed by {_signal(-code)}"
                with suppress(OSError):
                    Status(state.folder).update(state="failed", message=state.message)
            state.message = state.message or f"its process ended with exit code {code}"
        self.display.ended(state)
        return True


def _each(calls: Iterable[Any]) -> None:
    for call in calls:
        call()


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name} (usually because memory ran out)" if name == "SIGKILL" else name
