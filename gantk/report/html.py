"""The report of a run: one self-contained page from the files in the run's folder."""

from __future__ import annotations

import base64
import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from PIL import Image

from gantk.errors import EvaluationError, GantkError, GantkWarning
from gantk.evaluation.examples import TARGET_EXAMPLES, Examples
from gantk.evaluation.results import Evaluation, is_evaluated
from gantk.files import write_text
from gantk.progress import duration
from gantk.report.curves import draw_chart, gather
from gantk.report.figures import draw_figure
from gantk.runs.files import JOURNAL, RunFiles, is_run
from gantk.runs.lock import is_busy
from gantk.runs.names import EVALUATION, REPORT
from gantk.tables.numbers import column_title, method_title, write_value
from gantk.tables.run import table_of
from gantk.tracking.folder import Panel, RunFolder, flatten
from gantk.tracking.journal import Journal

__all__ = ["save_page", "write_report"]

Part = TypeVar("Part")

MOST_PANELS = 6
PANEL_WIDTH = 1800


@dataclass(frozen=True)
class Cell:
    """A cell of a table of patients: its text, and the number to sort by."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    source: str
    caption: str
    width: int
    height: int


def write_report(run: Path) -> Path:
    """Write `report.html` into a run's folder and return its path; an unfinished run is reported as far as it is.

    What is damaged is left out, on which the page and a `GantkWarning` speak.

    Raises:
        EvaluationError: where the folder is no run, or the page cannot be written.
        RecipeError: where the recipe is damaged, and there is no checkpoint to take it from.
    """
    folder, files = RunFolder(run), RunFiles(run)
    status, split = files.status(), files.split()
    on_training = split is not None and split.on_training
    if not is_run(folder.path) and not status:
        raise EvaluationError("this is not the folder of a run", where=run, mend="name a folder below runs/")
    evaluation = folder.path / EVALUATION
    state = status.get("state") or "unknown"
    if state == "running" and not is_busy(folder.path):
        state = "interrupted"  # status.json is older than the crash
    damages = [str(damage) for damage in files.damages()]
    results = _whole(lambda: _results(evaluation, folder.recipe), damages)
    weights = _whole(lambda: _weights(evaluation / "weights.json"), damages)
    figures = [
        found
        for name in ("examples.npz", TARGET_EXAMPLES)
        if (found := _whole(partial(_figures, evaluation / name), damages)) is not None
    ]
    curves = _whole(lambda: _curves(folder.path / JOURNAL), damages)
    panels = _panels(folder.panels(), damages)
    for damage in damages:
        warnings.warn(GantkWarning(damage), stacklevel=2)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = templates.get_template("report.html.jinja").render(
        title=folder.recipe.get("name") or folder.id,
        description=folder.recipe.get("description") or "",
        run=folder.id,
        state=state,
        message=status.get("message") or "",
        damages=damages,
        facts=_facts(status, files.environment(), on_training),
        on_training=on_training,
        results=results,
        weights=weights,
        figures=figures,
        curves=curves,
        panels=panels,
        recipe=files.recipe_text(),
        environment=list(flatten(files.environment())),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return save_page(page, folder.path)


def save_page(page: str, folder: Path) -> Path:
    """Write `report.html` into a folder and return its path.

    Raises:
        EvaluationError: it cannot be written.
    """
    path = folder / REPORT
    try:
        write_text(path, page)
    except OSError as error:
        raise EvaluationError(
            "the report cannot be written",
            where=path,
            why=error.strerror or error,
            mend=f"make room or mend the permissions, or copy the run's folder; then: gantk report {folder}",
        ) from error
    return path


def _whole(part: Callable[[], Part], damages: list[str]) -> Part | None:
    """Make a part of the page; if it fails, only this part is missing."""
    try:
        return part()
    except (GantkError, OSError) as error:
        damages.append(str(error))
        return None


def _facts(status: Mapping[str, Any], environment: Mapping[str, Any], on_training: bool) -> list[tuple[str, str]]:
    """The line of key facts below the title."""
    git = environment.get("git") or {}
    commit = str(git.get("commit") or "")[:10]
    progress = status.get("step")
    facts = [
        ("stage", str(status.get("stage") or "")),
        ("step", f"{progress:,}" if isinstance(progress, int) else ""),
        ("duration", duration(status["seconds"]) if "seconds" in status else ""),
        ("device", str(environment.get("device") or "")),
        ("precision", str(environment.get("precision") or "")),
        ("split", str(status.get("split") or "") + (", nothing held out" if on_training else "")),
        ("commit", f"{commit} + uncommitted changes" if commit and git.get("dirty") else commit),
    ]
    return [(name, value) for name, value in facts if value]


def _results(folder: Path, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tables of the evaluation; None if there is none. Baselines and bounds do not compete for the best value."""
    if not is_evaluated(folder):
        return None
    evaluation = Evaluation.read(folder)
    table = table_of(evaluation, recipe)
    columns, digits = evaluation.columns, table.digits
    tables = []
    for region in dict.fromkeys(column.region for column in columns.values()):
        names = [name for name, column in columns.items() if column.region == region]
        count = max((row.values[name].n for row in table.rows for name in names), default=0)
        tables.append({"region": region, "grid": table.grid(names), "patients": count})
    stacks = any(row.slices > 1 for row in evaluation.rows)
    patients = [
        [
            Cell(row.subject),
            Cell(method_title(row.method)),
            Cell(str(row.slices), row.slices),
            *(_cell(row.values[name], digits[name]) for name in columns),
        ]
        for row in evaluation.rows
    ]
    return {
        "tables": tables,
        "settings": evaluation.settings,
        "split": evaluation.split,
        "patient_titles": [evaluation.subjects.noun, "method", "slices", *map(column_title, columns.values())],
        "patients": patients,
        "count": len({row.patient for row in evaluation.rows}),
        "stacks": stacks,
        "subjects": evaluation.subjects,
        "checkpoint": evaluation.checkpoint,
    }


def _cell(value: float, digits: int) -> Cell:
    return Cell(write_value(value, digits), value if math.isfinite(value) else None)


def _weights(path: Path) -> list[tuple[str, str, str, str]]:
    """Per map: its mean in the tumor, in healthy brain, and the ratio of the two."""
    if not path.is_file():
        return []
    rows = []
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        means = [
            (name, *(float(found.get(key, math.nan)) for key in ("tumour", "brain"))) for name, found in read.items()
        ]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise EvaluationError(
            "the means of the weight maps cannot be read", where=path, why=error, mend="evaluate the run again"
        ) from None
    for name, tumour, brain in means:
        ratio = tumour / brain if brain else math.nan
        rows.append((name, write_value(tumour, 3), write_value(brain, 3), write_value(ratio, 2)))
    return rows


def _figures(path: Path) -> dict[str, Any] | None:
    """The drawn example slices with notes; None if the run has none."""
    if not path.is_file():
        return None
    examples = Examples.load(path)
    titles = examples.titles or [f"slice {i + 1}" for i in range(len(examples))]
    return {
        "pictures": [_picture(draw_figure(examples, i), title) for i, title in enumerate(titles)],
        "tumour": bool(examples.segmentation.any()),
        "target": examples.target is not None,
        "back": next((name for name in examples.outputs if name.endswith(")")), ""),
    }


def _curves(path: Path) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """By section, title and drawing of each chart; a drawing is SVG whose text matplotlib has escaped."""
    curves = gather(Journal(path).records())
    return [
        (
            section,
            [
                (chart.title, Markup(draw_chart(chart, curves.stages, salt=f"{section}{i}")))
                for i, chart in enumerate(charts)
            ],
        )
        for section, charts in curves.sections.items()
    ]


def _panels(panels: list[Panel], damages: list[str]) -> dict[str, list[Picture]]:
    """By key, some panels from the first to the last, in a size for the page."""
    by_key: dict[str, list[Panel]] = {}
    for panel in panels:
        by_key.setdefault(panel.key, []).append(panel)
    shown: dict[str, list[Picture]] = {}
    for key, found in by_key.items():
        chosen = sorted(set(np.linspace(0, len(found) - 1, MOST_PANELS).round().astype(int).tolist()))
        for i in chosen:
            try:
                with Image.open(found[i].path) as image:
                    small = image.convert("RGB")
            except (OSError, SyntaxError, ValueError) as error:  # Pillow's, of a file that is no picture
                damages.append(f"{found[i].path} cannot be shown ({error})")
                continue
            small.thumbnail((PANEL_WIDTH, small.height), Image.Resampling.LANCZOS)
            picture = _picture(np.asarray(small), f"step {found[i].step:,}", lossy=True)
            shown.setdefault(key, []).append(picture)
    return shown


def _picture(pixels: np.ndarray, caption: str, *, lossy: bool = False) -> Picture:
    """Embed an image (H, W, 3) uint8; figures are lossless, the panel history is compressed."""
    out = BytesIO()
    image = Image.fromarray(pixels)
    if lossy:
        image.save(out, format="JPEG", quality=88, subsampling=0)
    else:
        image.save(out, format="PNG")
    kind = "jpeg" if lossy else "png"
    data = base64.b64encode(out.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind};base64,{data}", caption, image.width, image.height)
