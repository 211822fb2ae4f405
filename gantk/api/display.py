"""The display of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gantk.progress import Progress, default_progress


class Display:
    """Receives the progress of a run, and shows nothing of the training; subclasses draw it.

    Args:
        progress: shows the work before and after training.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or default_progress()

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Training starts: recipe, run, device, stages."""

    def stage(self, name: str, epochs: int, steps_per_epoch: int) -> None:
        """A stage starts or continues."""

    def step(
        self, stage: str, epoch: int, step: int, total_steps: int, losses: Mapping[str, float], seconds_per_step: float
    ) -> None:
        """A step was done: `epoch` and `step` count from 0; `total_steps` is the number of steps per epoch."""

    def epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch and its validation ended."""

    def note(self, text: str) -> None:
        """Show a line to the user."""
        self.progress.note(text)

    def end(self, state: str) -> None:
        """Training is over: finished, interrupted or failed."""
