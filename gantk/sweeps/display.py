"""The display of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from gantk.progress import Progress, default_progress
from gantk.sweeps.state import ChildState

__all__ = ["SweepDisplay"]


class SweepDisplay:
    """Receives the progress of a sweep's children and shows nothing; a subclass in the command line draws it.

    Args:
        progress: shows the work before the first child starts.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or default_progress()

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
        self.progress.note(text)

    def end(self) -> None:
        """No child is running any more."""
