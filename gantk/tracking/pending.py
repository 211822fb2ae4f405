"""The data of a run's folder that MLflow does not have yet, according to the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantk.recipe.model import TrackingSettings
from gantk.runs.names import JOURNAL, MODEL
from gantk.tracking.cursor import Cursor, Left
from gantk.tracking.folder import Panel, RunFolder
from gantk.tracking.journal import Journal
from gantk.tracking.names import metric_name
from gantk.tracking.pace import Pace, with_pace

__all__ = ["Pending"]


@dataclass(frozen=True)
class Pending:
    """The pieces of a run that the cursor does not list, by kind; does not ask MLflow."""

    folder: RunFolder
    settings: TrackingSettings
    cursor: Cursor

    def left(self, ended: bool) -> Left:
        """The number of pieces of each kind."""
        records = with_pace(Journal(self.folder.path / JOURNAL).records(), Pace(), ended)
        metrics = sum(1 for record in records for _ in self.metrics(record))
        panels = sum(1 for _ in self.panels())
        return Left(metrics, panels, sum(1 for _ in self.files(ended)) + bool(self.model(ended)))

    def metrics(self, record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        """The values of a journal's record, with their names in MLflow."""
        for raw, value in record["metrics"].items():
            name = metric_name(raw)
            if record["step"] > self.cursor.steps.get(name, -1):
                yield name, value

    def panels(self) -> Iterator[Panel]:
        """The pictures; none if the settings exclude them."""
        if self.settings.images:
            fed = set(self.cursor.panels)
            yield from (panel for panel in self.folder.panels() if panel.name not in fed)

    def files(self, ended: bool) -> Iterator[tuple[str, Path, str]]:
        """The new and changed artifacts: name, path, and signature for the cursor."""
        for name, path in self.folder.files(checkpoints=self.settings.checkpoints, ended=ended):
            signature = _signature(path)
            if self.cursor.files.get(name) != signature:
                yield name, path, signature

    def model(self, ended: bool) -> str:
        """The signature of the run's model; empty if MLflow has the model or there is none."""
        described = self.folder.path / MODEL / "MLmodel"
        found = _signature(described) if ended and described.is_file() else ""
        return "" if found == self.cursor.model else found


def _signature(path: Path) -> str:
    state = path.stat()
    return f"{state.st_size}-{state.st_mtime_ns}"
