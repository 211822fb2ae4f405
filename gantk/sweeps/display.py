"""Who is told of a sweep's progress: what a display must be, and one that shows nothing of the children."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gantk.progress import Progress, default_progress
from gantk.sweeps.state import ChildState

__all__ = ["QuietSweep", "SweepDisplay"]


class SweepDisplay(Protocol):
    """Is told where a sweep's children are; the command line draws it."""

    progress: Progress
    """Shows the work before the first child starts."""

    def begin(self, name: str, children: Sequence[ChildState], *, alone: bool) -> None:
        """The children begin; `alone`: they write to this terminal themselves, one at a time."""

    def started(self, child: ChildState) -> None:
        """A child was started."""

    def ended(self, child: ChildState) -> None:
        """A child finished, failed or was interrupted."""

    def look(self) -> None:
        """The children's states are fresh."""

    def note(self, text: str) -> None:
        """Something that the user should read."""

    def end(self) -> None:
        """No child is at work any more."""


class QuietSweep:
    """Shows the preparation as `progress` does, and nothing of the children."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or default_progress()

    def begin(self, name: str, children: Sequence[ChildState], *, alone: bool) -> None: ...

    def started(self, child: ChildState) -> None: ...

    def ended(self, child: ChildState) -> None: ...

    def look(self) -> None: ...

    def note(self, text: str) -> None:
        self.progress.note(text)

    def end(self) -> None: ...
