"""Progress that shows nothing and records its calls."""

from __future__ import annotations

from contextlib import AbstractContextManager

from gantk.progress import Bar, QuietProgress


class Told(QuietProgress):
    """Keeps notes, and tasks with their totals."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.tasks: list[tuple[str, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def task(self, description: str, total: int) -> AbstractContextManager[Bar]:
        self.tasks.append((description, total))
        return super().task(description, total)
