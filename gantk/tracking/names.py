"""Names of a run, its user, metrics and pictures in MLflow.

MLflow's interface sorts tables, charts and their sections (the part before a name's last `/`) by name. The names are
`baseline/METHOD/METRIC` for untrained methods; `children/best/METRIC` and `children/mean/METRIC` for a sweep;
`test/METRIC` for the role that represents the run, which runs of all methods have in common, and `test/ROLE/METRIC` for
its other roles; `train/ROLE/TERM` and `train/ROLE/rate NAME`; `validation/panels` for pictures, and
`validation/ROLE/METRIC`.
"""

from __future__ import annotations

import getpass
import os
import re
from functools import lru_cache
from statistics import fmean
from typing import Any

from gantk.files import read_json
from gantk.recipe.child import SEED, shown
from gantk.runs.names import CHILD, EVALUATION
from gantk.tables.members import answering, trained
from gantk.tables.numbers import method_title
from gantk.tracking.folder import RunFolder, entity_name

__all__ = ["RESULTS", "child_name", "metric_name", "panel_name", "results", "run_name", "user_name"]

#: The prefixes of the names in `results`.
RESULTS = ("children/", "test/", "baseline/")


def run_name(folder_name: str) -> str:
    """A run's name: the unique part of `NAME-DATE-TIME-HEX` comes first because charts cut names at 12 characters."""
    parts = re.fullmatch(r"(.+)-\d{4}(\d\d)(\d\d)-(\d\d)(\d\d)\d\d-([0-9a-f]{4})", folder_name)
    if parts is None:
        return folder_name
    name, month, day, hour, minute, unique = parts.groups()
    return f"{unique} {name} {month}-{day} {hour}:{minute}"


def child_name(folder: RunFolder) -> str:
    """The name of a sweep's child: its changes, such as `weight 10, seed 2`, without the common name of the sweep."""
    child = read_json(folder.path / CHILD)
    changes = dict(child.get("changes") or {})
    seed = changes.pop(SEED, None)
    variant = str(child.get("variant") or "")
    parts = [variant] if variant != str(child.get("parent")) else []
    parts += [shown(key, value) for key, value in changes.items()]
    parts += [] if seed is None else [f"seed {seed}"]
    return ", ".join(filter(None, parts)) or run_name(folder.id)


@lru_cache(maxsize=4096)  # a journal has few names and millions of values
def metric_name(name: str) -> str:
    """The name of a journal's metric: `rate/student/generator` is placed in the section of the student's losses."""
    kind, _, rest = name.partition("/")
    role, _, part = rest.partition("/")
    return entity_name(f"train/{role}/rate {part}" if kind == "rate" and part else name)


def panel_name(key: str) -> str:
    """The name of a panel with the folder `key`, in the same section as the corresponding curves."""
    return entity_name(f"{key}/panels")


def results(folder: RunFolder) -> dict[str, float]:
    """Means over the test patients from `evaluation/summary.json`, by MLflow name; for a sweep, from its children."""
    if folder.is_sweep:
        return _of_children(folder)
    methods: dict[str, Any] = _summary(folder).get("methods") or {}
    answers, roles = answering(folder.recipe, list(methods)), trained(folder.recipe, list(methods))
    found = {}
    for method, metrics in methods.items():
        place = "test" if method == answers else f"test/{method}" if method in roles else method_title(method)
        for metric, value in metrics.items():
            if isinstance(value, dict) and isinstance(value.get("mean"), int | float):
                found[entity_name(f"{place}/{metric}")] = float(value["mean"])
    return found


def _of_children(folder: RunFolder) -> dict[str, float]:
    """Best and mean over the finished children of each metric of the role that represents a child."""
    values: dict[str, list[float]] = {}
    higher: dict[str, bool] = {}
    for child in folder.children:
        if child.state != "FINISHED":
            continue
        higher |= {name: bool(m.get("higher_is_better")) for name, m in (_summary(child).get("metrics") or {}).items()}
        for name, value in results(child).items():
            section, _, metric = name.partition("/")
            if section == "test" and "/" not in metric:
                values.setdefault(metric, []).append(value)
    means = {f"children/mean/{metric}": fmean(found) for metric, found in values.items()}
    best = {metric: max if higher[metric] else min for metric in values if metric in higher}
    return means | {f"children/best/{metric}": choose(values[metric]) for metric, choose in best.items()}


def _summary(folder: RunFolder) -> dict[str, Any]:
    return read_json(folder.path / EVALUATION / "summary.json")


def user_name() -> str:
    """The owner of the runs: the name of the process's user, or the user's number if there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
