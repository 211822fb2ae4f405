"""States of the children of a sweep, and the result of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantk.errors import TrainingError
from gantk.files import read_json
from gantk.runs.files import RunFiles, last_step
from gantk.runs.names import EVALUATION

__all__ = ["ChildState", "SweepFailed", "SweepResult"]


@dataclass
class ChildState:
    """The state of a child.

    Attributes:
        id, label, folder: the child's id, label and folder.
        state: `waiting`, `running`, `finished`, `failed` or `interrupted`.
        done, total: numbers of steps; the total is None before it is known.
        stage: the current stage.
        message: why it failed.
    """

    id: str
    label: str
    folder: Path
    state: str = "waiting"
    done: int = 0
    total: int | None = None
    stage: str = ""
    message: str = ""

    @property
    def log(self) -> Path:
        """The file with the output of its process."""
        return self.folder / "log.txt"

    def look(self, alive: bool) -> None:
        """Update the state from its folder; `alive`: a process works on it."""
        status = RunFiles(self.folder).status()
        state = str(status.get("state", "waiting"))
        self.state = ("running" if state != "finished" else state) if alive else state
        if self.state == "running" and not alive:
            self.state = "interrupted"  # status.json is older than the crash
        self.stage = str(status.get("stage", ""))
        self.message = str(status.get("message", ""))
        self.done = max(last_step(self.folder) + 1, 0) or int(status.get("step", 0))

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class SweepResult:
    """A sweep's folder and the requested children, in the order of tables.

    Attributes:
        state: the combined state of these children; in a listing, the last recorded state of the whole sweep.
    """

    folder: Path
    state: str
    children: tuple[ChildState, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON, each finished child with its evaluation's summary."""
        children = [c.to_dict() | {"summary": read_json(c.folder / EVALUATION / "summary.json")} for c in self.children]
        return {"folder": str(self.folder), "state": self.state, "children": children}


class SweepFailed(TrainingError):
    """Some children did not finish; the others did."""

    result: SweepResult
