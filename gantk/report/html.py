"""The report of a run: one page that needs no network, made from what the run's folder holds."""

from __future__ import annotations

import base64
import math
import platform
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from PIL import Image

from gantk.errors import EvaluationError
from gantk.evaluation.examples import Examples
from gantk.evaluation.results import Evaluation
from gantk.evaluation.tables import best_of, column_title, decimals, method_title, write_statistic, write_value
from gantk.files import atomic_write
from gantk.report.curves import draw_chart, gather
from gantk.report.figures import draw_figure
from gantk.tracking.folder import Panel, RunFolder, flatten
from gantk.tracking.journal import Journal

__all__ = ["write_report"]

MOST_PANELS = 6
PANEL_WIDTH = 1600
STATES = {"running": "running", "finished": "finished", "failed": "failed", "interrupted": "interrupted"}


def write_report(run: Path) -> Path:
    """Write `report.html` into a run's folder and return its path; of an unfinished run it shows what is there.

    Raises:
        EvaluationError: where the folder is no run, or its evaluation is damaged.
        TrackingError: where the journal is damaged.
    """
    folder = RunFolder(run)
    if not (folder.path / "status.json").is_file() and not (folder.path / "recipe.toml").is_file():
        raise EvaluationError("this is no run's folder", where=run, mend="Name a folder below runs/.")
    page = _template().render(
        title=folder.recipe.get("name") or folder.id,
        description=folder.recipe.get("description") or "",
        run=folder.id,
        facts=_facts(folder),
        state=STATES.get(str(folder.status().get("state")), "unknown"),
        message=folder.status().get("message") or "",
        results=_results(folder.path / "evaluation"),
        weights=_weights(folder.path / "evaluation" / "weights.json"),
        figures=_figures(folder.path / "evaluation" / "examples.npz"),
        curves=_curves(folder.path / "metrics.jsonl"),
        panels=_panels(folder.panels()),
        recipe=_text(folder.path / "recipe.toml"),
        environment=list(flatten(_json(folder.path / "environment.json"))),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        plain=platform.python_version(),
    )
    path = folder.path / "report.html"
    with atomic_write(path) as fresh:
        fresh.write_text(page, encoding="utf-8")
    return path
