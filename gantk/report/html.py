"""The report of a run: one self-contained page from the files in the run's folder."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jinja2 import Environment, FileSystemLoader, Template
from markupsafe import Markup
from PIL import Image

from gantk.errors import EvaluationError, GantkError, GantkWarning
from gantk.evaluation.examples import TARGET_EXAMPLES, Examples
from gantk.evaluation.results import Column, Evaluation, is_evaluated
from gantk.evaluation.weights import light_in_tumours, read_weights
from gantk.files import write_text
from gantk.progress import duration
from gantk.recipe.dotted import value_at
from gantk.report.curves import draw_chart, gather, records_of
from gantk.report.figures import columns_of, draw_figure
from gantk.report.pictures import Picture, embed, room
from gantk.runs.files import RunFiles, is_run
from gantk.runs.lock import is_busy
from gantk.runs.names import EVALUATION, REPORT
from gantk.tables.members import answering
from gantk.tables.numbers import column_title, method_title, write_value
from gantk.tables.run import table_of
from gantk.tracking.folder import Panel, RunFolder, flatten, milliseconds

__all__ = ["cell", "commit_of", "save_page", "started_at", "template", "write_report"]

Part = TypeVar("Part")

MOST_PANELS = 6
PANEL_WIDTH = 1800


@dataclass(frozen=True)
class Cell:
    """A cell of a table of patients: its text, and the number to sort by."""

    text: str
    value: float | None = None


def write_report(run: Path) -> Path:
    """Write `report.html` into a run's folder and return its path; an unfinished run is reported as far as it is.

    Damaged files are skipped; the page and a `GantkWarning` name them.

    Raises:
        EvaluationError: the folder is not a run, or the page cannot be written.
        RecipeError: the recipe is damaged and there is no checkpoint to restore it from.
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
    weights = _whole(lambda: _weights(evaluation), damages)
    figures = [
        found
        for name in ("examples.npz", TARGET_EXAMPLES)
        if (found := _whole(partial(_figures, evaluation / name, folder.recipe), damages)) is not None
    ]
    curves = _whole(lambda: _curves(folder.path), damages)
    best = _whole(lambda: _best_epoch(folder, results["columns"] if results else {}), damages)
    plural = results["subjects"].plural if results else "subjects"
    panels = _panels(folder.panels(), damages)
    for damage in damages:
        warnings.warn(GantkWarning(damage), stacklevel=2)
    page = partial(
        template("report.html.jinja").render,
        title=folder.recipe.get("name") or folder.id,
        description=folder.recipe.get("description") or "",
        run=folder.id,
        state=state,
        message=status.get("message") or "",
        damages=damages,
        facts=_facts(folder, status, files.environment(), on_training, best or "", plural),
        on_training=on_training,
        results=results,
        weights=weights,
        curves=curves,
        recipe=files.recipe_text(),
        environment=list(flatten(files.environment())),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    left = room(page(figures=[], panels={}))
    share = (left // 2 if panels else left) // max(1, len(figures))
    shown = [_embedded(figure, share) for figure in figures]
    used = sum(len(picture.source) for figure in shown for _, slice_ in figure["slices"] for picture in slice_)
    return save_page(page(figures=shown, panels=_embedded_panels(panels, left - used)), folder.path)


def template(name: str) -> Template:
    """A page's template; it escapes inserted text."""
    folder = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(name)


def save_page(page: str, folder: Path) -> Path:
    """Write `report.html` into a folder and return its path.

    Raises:
        EvaluationError: the file cannot be written.
    """
    path = folder / REPORT
    try:
        write_text(path, page)
    except OSError as error:
        raise EvaluationError(
            "the report cannot be written",
            where=path,
            why=error,
            mend="free disk space or correct the permissions, or copy the run's folder; then",
            command=f"gantk report {folder}",
        ) from error
    return path


def _whole(part: Callable[[], Part], damages: list[str]) -> Part | None:
    """Make a part of the page; if it fails, only this part is missing."""
    try:
        return part()
    except (GantkError, OSError) as error:
        damages.append(str(error))
        return None


def _facts(
    folder: RunFolder,
    status: Mapping[str, Any],
    environment: Mapping[str, Any],
    on_training: bool,
    best: str,
    plural: str,
) -> list[tuple[str, str]]:
    """The facts in the line below the title."""
    progress = status.get("step")
    seed = value_at(folder.recipe, "run.seed")
    version = (environment.get("packages") or {}).get("gantk")
    facts = [
        ("seed", "" if seed is None else str(seed)),
        (plural, ", ".join(f"{count} {part}" for part, count in folder.parts().items())),
        ("split", str(status.get("split") or "") + (", nothing held out" if on_training else "")),
        ("best epoch", best),
        ("started", started_at(status)),
        ("stage", str(status.get("stage") or "")),
        ("step", f"{progress:,}" if isinstance(progress, int) else ""),
        ("duration", duration(status["seconds"]) if "seconds" in status else ""),
        ("device", str(environment.get("device") or "")),
        ("precision", str(environment.get("precision") or "")),
        ("gantk", str(version or "")),
        ("commit", commit_of(environment)),
    ]
    return [(name, value) for name, value in facts if value]


def started_at(status: Mapping[str, Any]) -> str:
    """The start time of a run or sweep from its status; empty if unknown."""
    started = milliseconds(status.get("started"))
    return "" if started is None else f"{datetime.fromtimestamp(started / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def commit_of(environment: Mapping[str, Any]) -> str:
    """The git commit of a run, and whether there were uncommitted changes."""
    git = environment.get("git") or {}
    commit = str(git.get("commit") or "")[:10]
    return f"{commit} + uncommitted changes" if commit and git.get("dirty") else commit


def _best_epoch(folder: RunFolder, columns: Mapping[str, Column]) -> str:
    """The epoch with the best value of the `keep_best` metric, else of the predicting role's first metric."""
    kept = value_at(folder.recipe, "training.keep_best.metric")
    watched = [name for name in columns if not kept or name == str(kept).rpartition("/")[2]]
    found: dict[str, list[tuple[float, str]]] = {}
    for record in records_of(folder.path):
        for name, value in record["metrics"].items():
            kind, _, rest = name.partition("/")
            if kind == "validation" and rest.rpartition("/")[2] in watched and math.isfinite(value):
                place = f"{int(record['epoch']) + 1} of {record.get('stage') or 'training'}"
                found.setdefault(rest, []).append((value, place))
    role = str(kept).rpartition("/")[0] or answering(folder.recipe, [name.rpartition("/")[0] for name in found])
    key = next((f"{role}/{name}" for name in watched if f"{role}/{name}" in found), None)
    if key is None:
        return ""
    higher = columns[key.rpartition("/")[2]].higher_is_better
    value, place = (max if higher else min)(found[key], key=lambda pair: pair[0])
    return f"{place} ({key} {value:.4g})"


def _results(folder: Path, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tables of the evaluation; None if there is none. Baselines and bounds do not compete for the best value."""
    if not is_evaluated(folder):
        return None
    evaluation = Evaluation.read(folder)
    table = table_of(evaluation, recipe)
    answers = answering(recipe, evaluation.methods)
    table = replace(table, rows=tuple(sorted(table.rows, key=lambda row: (row.baseline, row.method != answers))))
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
            *(cell(row.values[name], digits[name]) for name in columns),
        ]
        for row in evaluation.rows
    ]
    return {
        "tables": tables,
        "columns": columns,
        "notes": table.notes,
        "settings": evaluation.settings,
        "split": evaluation.split,
        "patient_titles": [evaluation.subjects.noun, "method", "slices", *map(column_title, columns.values())],
        "patients": patients,
        "count": len({row.patient for row in evaluation.rows}),
        "stacks": stacks,
        "subjects": evaluation.subjects,
        "checkpoint": evaluation.checkpoint,
    }


def cell(value: float, digits: int) -> Cell:
    """A number's cell."""
    return Cell(write_value(value, digits), value if math.isfinite(value) else None)


def _weights(evaluation: Path) -> dict[str, Any] | None:
    """The mean of each map in the tumor and in healthy brain, their ratio, and notes on unusual values."""
    found = read_weights(evaluation)
    rows = [(w.name, write_value(w.tumour, 3), write_value(w.brain, 3), write_value(w.ratio, 2)) for w in found]
    return {"rows": rows, "notes": list(light_in_tumours([evaluation]))} if rows else None


def _figures(path: Path, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """The figures of the example slices, with their captions; None if the run has no examples."""
    if not path.is_file():
        return None
    examples = Examples.load(path)
    answers = answering(recipe, list(examples.outputs))
    outputs = dict(sorted(examples.outputs.items(), key=lambda item: item[0] != answers))
    examples = replace(examples, outputs=outputs)
    titles = examples.titles or [f"slice {i + 1}" for i in range(len(examples))]
    return {
        "slices": [(title, columns_of(draw_figure(examples, i), examples)) for i, title in enumerate(titles)],
        "inputs": len(examples.inputs),
        "tumour": bool(examples.segmentation.any()),
        "target": examples.target is not None,
        "back": next((name for name in examples.outputs if name.endswith(")")), ""),
    }


def _curves(run: Path) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """The title and drawing of each chart, by section; a drawing is SVG whose text matplotlib has escaped."""
    curves = gather(records_of(run))
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


def _panels(panels: list[Panel], damages: list[str]) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Captions and pixels of some panels from first to last, by key, resized for the page."""
    by_key: dict[str, list[Panel]] = {}
    for panel in panels:
        by_key.setdefault(panel.key, []).append(panel)
    shown: dict[str, list[tuple[str, np.ndarray]]] = {}
    for key, found in by_key.items():
        chosen = sorted(set(np.linspace(0, len(found) - 1, MOST_PANELS).round().astype(int).tolist()))
        for i in chosen:
            try:
                with Image.open(found[i].path) as image:
                    small = image.convert("RGB")
            except (OSError, SyntaxError, ValueError) as error:  # Pillow's, of a file that is no picture
                damages.append(str(GantkError("this panel cannot be shown", where=found[i].path, why=error)))
                continue
            small.thumbnail((PANEL_WIDTH, small.height), Image.Resampling.LANCZOS)
            shown.setdefault(key, []).append((f"step {found[i].step:,}", np.asarray(small)))
    return shown


def _embedded(figure: Mapping[str, Any], most: int) -> dict[str, Any]:
    """A figure with its pixels as embedded pictures, limited to a total number of bytes."""
    pixels = [(title, column) for title, columns in figure["slices"] for column in columns]
    pictures = iter(embed(pixels, most))
    return {**figure, "slices": [(title, [next(pictures) for _ in columns]) for title, columns in figure["slices"]]}


def _embedded_panels(panels: Mapping[str, list[tuple[str, np.ndarray]]], most: int) -> dict[str, list[Picture]]:
    """Panels as embedded pictures, limited to a total number of bytes."""
    return {key: embed(found, most // len(panels)) for key, found in panels.items()}
