"""The protocol of a sweep's display, and a display that shows only the preparation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gantk.progress import Progress, default_progress
from gantk.sweeps.state import ChildState

__all__ = ["QuietSweep", "SweepDisplay"]


class SweepDisplay(Protocol):
    """Receives the progress of a sweep's children; the command line draws it."""

    progress: Progress
    """Shows the work before the first child starts."""

    def begin(self, name: str, children: Sequence[ChildState], *, alone: bool) -> None:
        """The children start; `alone`: they write to this terminal themselves, one at a time."""

    def started(self, child: ChildState) -> None:
        """A child was started."""

    def ended(self, child: ChildState) -> None:
        """A child finished, failed or was interrupted."""

    def look(self) -> None:
        """The states of the children were updated."""

    def note(self, text: str) -> None:
        """Show a line to the user."""

    def end(self) -> None:
        """No child is running any more."""


class QuietSweep:
    """Shows the preparation with `progress`, and nothing of the children."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or default_progress()

    def begin(self, name: str, children: Sequence[ChildState], *, alone: bool) -> None: ...

    def started(self, child: ChildState) -> None: ...

    def ended(self, child: ChildState) -> None: ...

    def look(self) -> None: ...

    def note(self, text: str) -> None:
        self.progress.note(text)

    def end(self) -> None: ...
