"""The table of a cohort's predictions, with the outcome for each subject."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gantk.files import write_csv

__all__ = ["TABLE", "Prediction", "Predictions", "read_predictions"]

TABLE = "predictions.csv"
_COLUMNS = ("subject", "status", "file", "made_by", "note")


@dataclass(frozen=True)
class Prediction:
    """The outcome for one subject.

    Attributes:
        subject: its id.
        status: `made`, `kept` if the file existed before, `failed`, or `pending` while others are made.
        file: relative to the folder of predictions; empty if there is none.
        made_by: runs and roles that made it.
        note: why it failed, or was not measured.
        metrics: by column; empty if there is no target.
    """

    subject: str
    status: str
    file: str = ""
    made_by: str = ""
    note: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Predictions:
    """The outcome for a cohort.

    Attributes:
        folder: where the files are.
        rows: one for each subject, in order.
    """

    folder: Path
    rows: Sequence[Prediction]

    @property
    def failed(self) -> list[Prediction]:
        """The subjects without a prediction."""
        return [row for row in self.rows if row.status == "failed"]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many were `made`, `kept` and `failed`."""
        return Counter(row.status for row in self.rows)

    @property
    def table(self) -> Path:
        """The CSV of all rows."""
        return self.folder / TABLE

    def write(self) -> None:
        """Write the CSV; atomic.

        Raises:
            OSError: it cannot be written.
        """
        metrics = list(dict.fromkeys(name for row in self.rows for name in row.metrics))
        rows = [
            [*(getattr(row, name) for name in _COLUMNS), *(row.metrics.get(name, "") for name in metrics)]
            for row in self.rows
        ]
        write_csv(self.table, [[*_COLUMNS, *metrics], *rows])


def read_predictions(table: Path) -> dict[str, Prediction]:
    """The rows of a table that an earlier call wrote, by subject; empty if there is no such table."""
    try:
        with table.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    found = {}
    for row in rows:
        if isinstance(name := row.get("subject"), str) and row.get("file"):
            told = {column: row.get(column) or "" for column in _COLUMNS}
            metrics = {key: float(value) for key, value in row.items() if key not in _COLUMNS and _is_number(value)}
            found[name] = Prediction(**told, metrics=metrics)
    return found


def _is_number(text: object) -> bool:
    try:
        float(str(text))
    except ValueError:
        return False
    return True
