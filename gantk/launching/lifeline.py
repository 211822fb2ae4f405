"""A pipe by which a child process notices the end of its parent, whatever the cause."""

from __future__ import annotations

import os
import signal
import threading

__all__ = ["VARIABLE", "hold"]

#: Names the end of a pipe that is at its end when the parent is gone.
VARIABLE = "GANTK_LIFELINE"


def hold() -> None:
    """If this process has a lifeline, send it SIGTERM (save and stop) as soon as the parent has ended."""
    number = os.environ.pop(VARIABLE, "")  # it is not our children's
    if number.isdecimal():
        threading.Thread(target=_wait, args=(int(number),), name="gantk-lifeline", daemon=True).start()


def _wait(pipe: int) -> None:
    try:
        while os.read(pipe, 64):
            pass
    except OSError:  # no such pipe: nobody to outlive
        return
    os.kill(os.getpid(), signal.SIGTERM)
