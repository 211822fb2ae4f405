"""Progress of long work: rich bars on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichBars

__all__ = ["Bar", "PlainProgress", "Progress", "QuietProgress", "RichProgress", "default_progress", "duration"]


class Bar(Protocol):
    """The progress of one task."""

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done."""


class Progress(Protocol):
    """Shows the progress of long work, one bar per task."""

    def task(self, description: str, total: int) -> AbstractContextManager[Bar]:
        """A context manager that yields a `Bar` for `total` units of work."""

    def note(self, text: str) -> None:
        """Show a line above the bars."""


class _RichBar:
    def __init__(self, bars: RichBars, description: str, total: int) -> None:
        self.bars = bars
        self.id = bars.add_task(description, total=total)

    def advance(self, n: int = 1) -> None:
        self.bars.advance(self.id, n)


class RichProgress:
    """Bars with count, elapsed and remaining time."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Bar]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        with RichBars(*columns, console=self.console) as bars:
            yield _RichBar(bars, description, total)

    def note(self, text: str) -> None:
        self.console.print(text)


class _PlainBar:
    """Prints a line when the task starts, at most every ten seconds while it runs, and when it is done."""

    def __init__(self, description: str, total: int) -> None:
        self.description, self.total, self.done = description, total, 0
        self.start = self.last = time.monotonic()

    def advance(self, n: int = 1) -> None:
        self.done += n
        now = time.monotonic()
        ends = self.done - n < self.total <= self.done
        if ends or now - self.last >= 10:
            self.last = now
            eta = (now - self.start) / max(self.done, 1) * max(self.total - self.done, 0)
            print(f"{self.description}: {self.done}/{self.total}, ETA {duration(eta)}", file=sys.stderr, flush=True)


class PlainProgress:
    """Plain lines for logs and pipes.

    Args:
        note: shows a line; default: on standard error.
    """

    def __init__(self, note: Callable[[str], None] | None = None) -> None:
        self._note = note

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Bar]:
        yield _PlainBar(description, total)

    def note(self, text: str) -> None:
        if self._note is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._note(text)


class _QuietBar:
    def advance(self, n: int = 1) -> None:
        pass


class QuietProgress:
    """Shows nothing."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Bar]:
        yield _QuietBar()

    def note(self, text: str) -> None:
        pass


def default_progress() -> Progress:
    """Rich bars when standard error is a terminal, plain lines otherwise."""
    return RichProgress() if sys.stderr.isatty() else PlainProgress()


def duration(seconds: float) -> str:
    """`48 s`, `5 min 00 s` or `2 h 05 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
