"""The record of the data that MLflow already has from a run: the run folder's `tracking.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from gantk.tracking.address import shown

__all__ = ["Cursor", "Left"]


@dataclass
class Cursor:
    """The position of the upload; saved after every piece that MLflow has accepted, so that uploads can resume there.

    Attributes:
        uri, experiment, run_id: the MLflow run; the address, without credentials, is known before the run exists.
        parameters: whether MLflow has the resolved recipe.
        dataset: digest of the data set that MLflow has.
        steps: by metric name, the last step that MLflow has; steps that a resumed run repeats are not uploaded twice.
        unsure: whether it is unknown if the last batch of metrics arrived.
        panels: uploaded pictures, as `key/step-00001234.png`.
        files: uploaded artifacts, relative path to size and modification time.
        status: the state that MLflow received last.
        model: the model that MLflow has, by size and modification time.
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
        """Read a cursor; a missing or damaged file gives an empty one, and the run is then looked up in MLflow."""
        try:
            cursor = TypeAdapter(cls).validate_json(path.read_bytes())
        except (OSError, ValueError):
            return cls()
        cursor.uri = shown(cursor.uri)
        return cursor

    def to_json(self) -> str:
        """The content of the file that `load` reads."""
        return json.dumps(asdict(self), indent=1)


@dataclass(frozen=True)
class Left:
    """The amount of data that MLflow does not have yet."""

    metrics: int
    panels: int
    files: int

    def __bool__(self) -> bool:
        return bool(self.metrics or self.panels or self.files)

    def __str__(self) -> str:
        return f"{self.metrics} metric values, {self.panels} panels and {self.files} files"
