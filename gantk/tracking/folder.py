"""The data of a run folder for MLflow: parameters, tags, metrics, pictures, files, state."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from gantk.errors import GantkError
from gantk.evaluation.results import is_evaluated
from gantk.files import read_json
from gantk.recipe.dotted import leaves
from gantk.runs.files import ENVIRONMENT, RECIPE, SPLIT, SWEEP, RunFiles, is_sweep
from gantk.runs.names import CHILD, CHILDREN, EVALUATION, REPORT, TABLE, TRACKING
from gantk.tables.run import run_table

__all__ = ["Panel", "RunFolder", "entity_name", "flatten", "milliseconds"]

#: MLflow's limits
PARAMETER_LENGTH = 6000
TAG_LENGTH = 8000
NAME_LENGTH = 250

STATES = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
#: Files uploaded as soon as they exist, and files that a run writes at its end.
FIRST_FILES = (RECIPE, SWEEP, CHILD, SPLIT, ENVIRONMENT)
LAST_FILES = (EVALUATION, TABLE, REPORT)


@dataclass(frozen=True)
class Panel:
    """A picture of the run: `panels/<key>/step-<step>.png`."""

    key: str
    step: int
    path: Path

    @property
    def name(self) -> str:
        return f"{self.key}/{self.path.name}"


class RunFolder:
    """Reads the files that a run has written; missing files are not errors.

    Args:
        path: the run's folder; its name is the run's id.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def runs(self) -> Path:
        """The folder of all runs; for a child, the folder of all runs of its sweep."""
        return self.path.parent if self.parent is None else self.parent.parent

    @cached_property
    def parent(self) -> Path | None:
        """The folder of the sweep to which this run belongs; None for an ordinary run."""
        above = self.path.parent
        is_child = above.name == "children" and is_sweep(above.parent)
        return above.parent if is_child else None

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The resolved recipe; empty if it is not written yet.

        Raises:
            RecipeError: it is damaged and there is no checkpoint to restore it from.
        """
        return RunFiles(self.path).recipe()

    @property
    def is_sweep(self) -> bool:
        """Whether the folder belongs to a sweep and not to a single run."""
        return is_sweep(self.path)

    @property
    def tracking(self) -> Mapping[str, Any]:
        """The recipe's `[tracking]` table."""
        return self.recipe.get("tracking", {})

    def status(self) -> dict[str, Any]:
        """The content of `status.json`; empty if it does not exist."""
        return RunFiles(self.path).status()

    @property
    def state(self) -> str:
        """The run's state in MLflow's terms."""
        return STATES.get(str(self.status().get("state")), "RUNNING")

    @cached_property
    def children(self) -> list[RunFolder]:
        """The children of a sweep, in the order of tables; empty for a run."""
        listed = read_json(self.path / SWEEP).get("children") or ()
        return [RunFolder(self.path / CHILDREN / child["id"]) for child in listed]

    def parameters(self) -> dict[str, str]:
        """The resolved recipe as flat parameters `losses.adversarial.weight`, cut at MLflow's length.

        A sweep has the parameters of its children in the same form; a parameter that differs lists its values.
        """
        values: dict[str, dict[str, None]] = {}
        for child in self.children:
            for name, value in flatten(child.recipe):
                values.setdefault(name, {})[value] = None
        own = dict(flatten(self.recipe))
        shared = {
            name: _one_or_list(list(found)) for name, found in values.items() if name not in ("name", "description")
        }
        return {entity_name(name): value[:PARAMETER_LENGTH] for name, value in (own | shared).items()}

    def tags(self) -> dict[str, str]:
        """The run's tags: id, description, git commit, split, versions."""
        environment = RunFiles(self.path).environment()
        git = environment.get("git") or {}
        status = self.status()
        tags = {
            "gantk.run": self.id,
            "gantk.folder": str(self.path),
            "gantk.recipe": self.recipe.get("name"),
            "gantk.split": status.get("split"),
            "gantk.version": (environment.get("packages") or {}).get("gantk"),
            "gantk.device": environment.get("device"),
            "mlflow.note.content": self._note(),
            "mlflow.source.name": "gantk",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": git.get("commit"),
            "gantk.git.dirty": git.get("dirty"),
        }
        if self.parent is not None:
            child = read_json(self.path / CHILD)
            tags |= {
                "mlflow.parentRunId": read_json(self.parent / TRACKING).get("run_id"),
                "gantk.sweep": child.get("parent"),
                "gantk.variant": child.get("variant"),
                "gantk.label": child.get("label"),
            }
        if self.recipe.get("parent"):
            name = self.recipe["parent"].get("run", "")
            tags["gantk.parent"] = name
            tags.setdefault("mlflow.parentRunId", read_json(self.path.parent / str(name) / TRACKING).get("run_id"))
        return {name: str(value)[:TAG_LENGTH] for name, value in tags.items() if value not in (None, "")}

    def _note(self) -> str:
        """The description, warnings about the results and, for a finished sweep, its table.

        Truncated between lines if it is too long.
        """
        parts = [str(self.recipe.get("description") or "")]
        table = self.path / TABLE
        if table.is_file():
            parts.append(table.read_text(encoding="utf-8"))
        elif is_evaluated(self.path / EVALUATION):
            with suppress(GantkError):
                parts.append("\n".join(f"- {note}" for note in run_table(self.path).notes))
        text = "\n\n".join(part for part in parts if part)
        if len(text) <= TAG_LENGTH:
            return text
        rest = "\n\nThe rest is in table.md."
        return text[: TAG_LENGTH - len(rest)].rpartition("\n")[0] + rest

    def dataset(self) -> tuple[str, str] | None:
        """The name of the data set and the hash of its split; None before the split is written."""
        split = self.status().get("split")
        name = (self.recipe.get("data") or {}).get("dataset")
        return (str(name), str(split)) if split and name else None

    def parts(self) -> dict[str, int]:
        """The numbers of subjects by part of the split."""
        try:
            with (self.path / SPLIT).open(newline="", encoding="utf-8") as file:
                return dict(Counter(str(row["role"]) for row in csv.DictReader(file)))
        except (OSError, ValueError, KeyError, csv.Error):
            return {}

    def panels(self) -> list[Panel]:
        """All pictures, in the order of their steps."""
        found = []
        root = self.path / "panels"
        for path in root.rglob("step-*.png"):
            step = re.fullmatch(r"step-(\d+)\.png", path.name)
            if step:
                found.append(Panel(path.parent.relative_to(root).as_posix(), int(step[1]), path))
        return sorted(found, key=lambda panel: (panel.step, panel.key))

    def files(self, *, checkpoints: bool, ended: bool) -> Iterator[tuple[str, Path]]:
        """Artifacts to upload, (path below the run, file); results, last and best checkpoint only after the end."""
        kept = sorted(self.path.glob("checkpoints/step-*/checkpoint.json"))
        roots = [self.path / name for name in FIRST_FILES]
        if ended:
            roots += [self.path / name for name in LAST_FILES]
        if ended and checkpoints:
            roots += [file.parent for file in (*kept[-1:], *self.path.glob("checkpoints/best-*/checkpoint.json"))]
        for root in roots:
            yield from _files(root, self.path)


def entity_name(name: str) -> str:
    """A name that MLflow accepts: letters, digits, `_-. :/`, without empty or dotted path parts."""
    bare = re.sub(r"[()\[\]{}]", "", name)  # `adversarial (D)` becomes `adversarial D`, not `adversarial _D_`
    clean = re.sub(r"[^\w\-. :/]", "_", bare, flags=re.ASCII)
    parts = [part for part in clean.split("/") if part.strip(".")]
    return "/".join(parts)[:NAME_LENGTH].rstrip("/") or "_"


def flatten(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Dotted names and values as text; values other than strings as JSON."""
    for name, value in leaves(table):
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _one_or_list(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"[{', '.join(values)}]"


def milliseconds(moment: object) -> int | None:
    """Unix milliseconds of a time given in seconds or in ISO form."""
    if isinstance(moment, int | float):
        return int(moment * 1000)
    try:
        return int(datetime.fromisoformat(str(moment)).timestamp() * 1000)
    except ValueError:
        return None


def _files(root: Path, base: Path) -> Iterator[tuple[str, Path]]:
    if root.is_file():
        yield root.relative_to(base).as_posix(), root
    elif root.is_dir():
        for path in sorted(root.rglob("*")):
            if path.is_file() and ".partial-" not in path.name:  # skips files that are being written
                yield path.relative_to(base).as_posix(), path
