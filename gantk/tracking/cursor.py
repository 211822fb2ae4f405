"""What MLflow has got of a run so far: the run folder's `tracking.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from gantk.tracking.address import shown

__all__ = ["Cursor", "Left"]


@dataclass
class Cursor:
    """Written after every piece that MLflow has taken, so that feeding goes on there after any stop.

    Attributes:
        uri, experiment, run_id: the MLflow run; the address, without credentials, is known before the run is there.
        parameters: the resolved recipe is there.
        dataset: digest of the data set that is there.
        steps: by metric name, the last step that MLflow has: what a resumed run replays is not fed twice.
        unsure: a batch of metrics was sent whose arrival is unknown.
        panels: pictures fed, as `key/step-00001234.png`.
        files: artifacts fed, relative path to size and modification time.
        status: the state MLflow was told last.
        model: the model that is there, by size and modification time.
    """

    uri: str = ""
    experiment: str = ""
    run_id: str = ""
    parameters: bool = False
    dataset: str = ""
    steps: dict[str, int] = field(default_factory=dict)
    unsure: bool = False
    panels: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    status: str = ""
    model: str = ""

    @classmethod
    def load(cls, path: Path) -> Cursor:
        """Read it; a missing or damaged one is empty: the run is then found in MLflow, with what it has."""
        try:
            cursor = TypeAdapter(cls).validate_json(path.read_bytes())
        except (OSError, ValueError):
            return cls()
        cursor.uri = shown(cursor.uri)
        return cursor

    def to_json(self) -> str:
        """What `load` reads."""
        return json.dumps(asdict(self), indent=1)


@dataclass(frozen=True)
class Left:
    """What MLflow has not got yet."""

    metrics: int
    panels: int
    files: int

    def __bool__(self) -> bool:
        return bool(self.metrics or self.panels or self.files)

    def __str__(self) -> str:
        return f"{self.metrics} metric values, {self.panels} panels and {self.files} files"
