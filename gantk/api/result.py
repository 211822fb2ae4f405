"""What a finished run returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gantk.api.notebook import show


@dataclass(frozen=True)
class RunResult:
    """A finished run: its folder, its evaluation's summary (as in `evaluation/summary.json`) and its report."""

    folder: Path
    state: str
    summary: dict[str, Any] = field(repr=False)
    report: Path = field(repr=False)

    def _repr_html_(self) -> str:
        """The run in a notebook: its table and slices with every role's output."""
        from gantk.report.notebook import run_html

        return run_html(self.folder)

    def show(self) -> None:
        """Show the run: in a notebook its table and slices, elsewhere its table as text."""
        show(self)
