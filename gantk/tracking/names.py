"""What MLflow calls a run's numbers and pictures.

Its interface sorts tables, charts and their sections (what stands before a name's last `/`) by name alone, so that
names have to bring forward what matters: `test/METRIC` of the role that answers for the run, which is also what runs of
any method have in common; `test/ROLE/METRIC` of its other roles; `train/ROLE/TERM` and `train/ROLE/rate NAME`; the
pictures `validation/panels` and `validation/ROLE/METRIC`; at last `yardstick/METHOD/METRIC` of what was not trained.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from gantk.evaluation.members import answering, trained
from gantk.files import read_json
from gantk.tracking.folder import RunFolder, entity_name

__all__ = ["metric_name", "panel_name", "results"]


@lru_cache(maxsize=4096)  # a journal has few names and millions of values
def metric_name(name: str) -> str:
    """The name of a journal's metric: `rate/student/generator` stands with the student's losses."""
    kind, _, rest = name.partition("/")
    role, _, part = rest.partition("/")
    return entity_name(f"train/{role}/rate {part}" if kind == "rate" and part else name)


def panel_name(key: str) -> str:
    """The name of a panel, whose folder is `key`: in a section with the curves of its kind."""
    return entity_name(f"{key}/panels")


def results(folder: RunFolder) -> dict[str, float]:
    """Means over the test patients from `evaluation/summary.json`, by MLflow's name."""
    methods: dict[str, Any] = read_json(folder.path / "evaluation" / "summary.json").get("methods") or {}
    answers, roles = answering(folder.recipe, list(methods)), trained(folder.recipe, list(methods))
    found = {}
    for method, metrics in methods.items():
        place = "test" if method == answers else f"test/{method}" if method in roles else f"yardstick/{method}"
        for metric, value in metrics.items():
            if isinstance(value, dict) and isinstance(value.get("mean"), int | float):
                found[entity_name(f"{place}/{metric}")] = float(value["mean"])
    return found
