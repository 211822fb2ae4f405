"""Runs in Jupyter: the training as one updated line, and results as the output of cells."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from gantk.api.display import Display
from gantk.progress import PlainProgress, Progress, duration

__all__ = ["NotebookDisplay", "notebook_display", "show"]

PAUSE = 0.5
"""Seconds between two pictures of the line."""


class _Shown(Protocol):
    @property
    def folder(self) -> Path: ...


def show(result: _Shown) -> None:
    """Show a run's result in a notebook, or its table as text."""
    if _in_notebook():
        _ipython().display(result)
        return
    from rich.console import Console

    from gantk.tables.grids import to_rich
    from gantk.tables.run import run_table

    Console().print(to_rich(run_table(result.folder).grid()))


def notebook_display(progress: Progress | None = None) -> NotebookDisplay | None:
    """The display of a run in a notebook; None elsewhere."""
    return NotebookDisplay(progress) if _in_notebook() else None


def _in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel; a kernel has loaded IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _ipython() -> Any:
    return import_module("IPython.display")


class NotebookDisplay(Display):
    """A cell's line that shows the progress of the training; its last state stays.

    Args:
        progress: shows the work before and after training.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or PlainProgress()
        self._cell: Any = None
        self._stage, self._epochs, self._steps = "", 1, 1
        self._validation = ""
        self._began = self._drawn = 0.0

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Put the line into the cell."""
        self._began = time.monotonic()
        self._cell = _ipython().display(_ipython().HTML("Training"), display_id=True)

    def stage(self, name: str, epochs: int, steps_per_epoch: int) -> None:
        """Remember how long the stage is."""
        self._stage, self._epochs, self._steps = name, epochs, steps_per_epoch

    def step(
        self, stage: str, epoch: int, step: int, total_steps: int, losses: Mapping[str, float], seconds_per_step: float
    ) -> None:
        """Update the line, at most a few times a second."""
        done = epoch * total_steps + step + 1
        left = (self._epochs * total_steps - done) * seconds_per_step
        if time.monotonic() - self._drawn >= PAUSE:
            self._draw(epoch, done / (self._epochs * total_steps), f"about {duration(left)} left in this stage")

    def epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show the validation."""
        self._validation = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        self._draw(epoch, (epoch + 1) / self._epochs, f"{duration(time.monotonic() - self._began)} so far")

    def end(self, state: str) -> None:
        """Show how the training ended."""
        self._put(f"Training {state} after {duration(time.monotonic() - self._began)}. {self._validation}")

    def _draw(self, epoch: int, part: float, time_left: str) -> None:
        self._drawn = time.monotonic()
        said = f"{self._stage}, epoch {epoch + 1} of {self._epochs}, {time_left}. {self._validation}"
        self._put(said, f'<progress value="{part:.4f}" max="1"></progress> ')

    def _put(self, said: str, before: str = "") -> None:
        if self._cell is not None:
            self._cell.update(_ipython().HTML(before + escape(said)))
