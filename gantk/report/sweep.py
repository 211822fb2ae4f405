"""The report of a sweep: one self-contained page with tables, curves, figures and patients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from gantk.errors import EvaluationError, GantkError
from gantk.progress import duration
from gantk.report.comparison import combine, draw_comparison
from gantk.report.curves import Chart, Series, draw_chart, gather, records_of
from gantk.report.distributions import draw_violins, shown_rows
from gantk.report.html import Cell, cell, commit_of, save_page, started_at, template
from gantk.report.pictures import embed_in_drawings, room
from gantk.report.saving import INK, as_svg
from gantk.report.selection import select
from gantk.runs.files import RunFiles
from gantk.runs.names import REPORT, TRACKING
from gantk.runs.sweeps import sweep_head
from gantk.tables.grids import Grid
from gantk.tables.members import Member, Members, answering, read_members
from gantk.tables.model import Table, TableRow, region_title
from gantk.tables.numbers import column_title, decimals
from gantk.tables.paper import reference_of, result_table
from gantk.tables.significance import significance, with_tests
from gantk.tracking.cursor import Cursor
from gantk.tracking.folder import RunFolder
from gantk.tracking.store import shown

__all__ = ["write_sweep_report"]

MOST_SLICES = 2
#: Address at which `gantk ui` serves a store without a server.
UI = "http://127.0.0.1:5000"


@dataclass(frozen=True)
class Drawing:
    """A drawing inside the page, and its natural width."""

    caption: str
    svg: Markup
    width: int


@dataclass(frozen=True)
class Run:
    """A child in the list of the page; missing addresses are empty."""

    id: str
    label: str
    seed: int
    state: str
    problem: str
    duration: str
    report: str
    mlflow: str


def write_sweep_report(sweep: Path, *, reference: str | None = None) -> Path:
    """Write `report.html` into a sweep's folder and return its path; an unfinished sweep is reported as far as it is.

    Args:
        sweep: the sweep's folder.
        reference: the row against which the others are tested; default: the reference of the recipe, else the
            predicting role of the first variant. If the recipe's reference is not a row of the table, the page says so.

    Raises:
        EvaluationError: the folder is not a sweep, or its files are damaged.
        UsageError: no row is called like `reference`.
    """
    folder = RunFolder(sweep)
    if not folder.is_sweep:
        raise EvaluationError("this is not the folder of a sweep", where=sweep, why="it has no sweep.json")
    head, status = sweep_head(folder.path), folder.status()
    members = read_members([folder.path])
    table, problem = _table(folder.path, members, reference)
    runs = [_run(folder.path, member) for member in members.members]
    page = partial(
        template("sweep.html.jinja").render,
        title=str(head.get("name") or folder.id),
        description=str(head.get("description") or ""),
        state=str(status.get("state") or "unknown"),
        facts=_facts(head, status, runs, [RunFiles(member.folder).environment() for member in members.members]),
        mlflow=_mlflow(folder.path),
        local=any(run.mlflow.startswith(UI) for run in runs),
        problem=problem,
        tables=_tables(table) if table else [],
        tests=_tests(table) if table else None,
        distributions=_distributions(table) if table else [],
        curves=_curves(members, table),
        patients=_patients(table) if table else None,
        runs=runs,
        recipe=RunFiles(folder.path).recipe_text(),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    slices = _slices(table) if table else []
    drawings = embed_in_drawings([slice_.svg for slice_ in slices], room(page(slices=[])))
    slices = [replace(slice_, svg=Markup(svg)) for slice_, svg in zip(slices, drawings, strict=True)]
    return save_page(page(slices=slices), folder.path)


def _facts(
    head: Mapping[str, Any], status: Mapping[str, Any], runs: Sequence[Run], environments: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """The facts in the line below the title; values that differ between runs are listed."""
    finished = sum(run.state == "finished" for run in runs)
    versions = ((environment.get("packages") or {}).get("gantk") for environment in environments)
    facts = [
        ("runs", f"{finished} of {len(runs)} finished"),
        ("seeds", _each(run.seed for run in runs)),
        ("started", started_at(status)),
        ("duration", duration(status["seconds"]) if "seconds" in status else ""),
        ("recipe", str(head.get("recipe") or "")),
        ("device", _each(environment.get("device") for environment in environments)),
        ("gantk", _each(versions)),
        ("commit", _each(map(commit_of, environments))),
    ]
    return [(name, value) for name, value in facts if value]


def _each(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))


# -- tables ----------------------------------------------------------------------------------------------------


def _table(folder: Path, members: Members, asked: str | None) -> tuple[Table | None, str]:
    """The table with its tests, or the reason why there is none."""
    try:
        table = result_table([folder])
    except GantkError as error:
        return None, str(error)
    if asked is not None:
        return replace(table, significance=significance(table, asked)), ""
    usual = reference_of([folder])
    if usual is None and (first := _first(table, members)):
        usual = first.name
    return (with_tests(table, usual) if usual else table), ""


def _first(table: Table, members: Members) -> TableRow | None:
    """The predicting role of the first variant; None if there is no other row."""
    rows = [row for row in table.rows if not row.baseline]
    first = next((member for member in members.members if member.evaluation is not None), None)
    if len(rows) < 2 or first is None or first.evaluation is None:
        return None
    own = [row for row in rows if first.folder in row.folders]
    role = answering(first.recipe, first.evaluation.methods)
    return next((row for row in own if row.method == role), own[0] if own else rows[0])


def _tables(table: Table) -> list[tuple[str, Grid]]:
    """One grid per region by its title; only the last one has caption and notes."""
    regions = dict.fromkeys(column.region for column in table.columns.values())
    return [(region_title(region), grid) for region, grid in zip(regions, table.grids(), strict=True)]


def _tests(table: Table) -> dict[str, Any] | None:
    grid = table.significance_grid()
    return None if grid is None or not grid.sections else {"title": grid.title, "grid": grid}


def _patients(table: Table) -> dict[str, Any]:
    """A line per patient and row, values averaged over the row's seeds."""
    values = {row: row.patients() for row in table.rows}
    names = list(table.columns)
    digits = {name: decimals(value for row in table.rows for value in values[row][name].values()) + 1 for name in names}
    patients = list(dict.fromkeys(patient for row in table.rows for patient in values[row][names[0]]))
    lines = []
    for patient in patients:
        for row in table.rows:
            if patient in values[row][names[0]]:
                cells = [cell(values[row][name][patient], digits[name]) for name in names]
                lines.append([Cell(patient), Cell(row.name), *cells])
    titles = [table.subjects.noun, "method", *(column_title(table.columns[name]) for name in names)]
    return {"titles": titles, "lines": lines, "count": len(patients), "seeds": table.spread == "seeds"} | {
        "subjects": table.subjects
    }


# -- drawings --------------------------------------------------------------------------------------------------


def _slices(table: Table) -> list[Drawing]:
    """The slices with the largest tumors that every method shows, from different patients if possible."""
    try:
        chosen = select(table)
    except GantkError:  # variants of different geometry have no slice in common
        return []
    ranked = chosen.ranked()
    patients = dict.fromkeys(name.patient for name in ranked)
    first = [next(name for name in ranked if name.patient == patient) for patient in patients]
    drawings = []
    for number, name in enumerate([*first, *(n for n in ranked if n not in first)][:MOST_SLICES]):
        found = {method.label: chosen.find(method, name) for method in chosen.methods}
        try:
            comparison = combine(str(name), {label: one for label, one in found.items() if one is not None})
        except GantkError:
            continue
        figure = draw_comparison(comparison, ink=INK, smooth=False)
        title = f"{name}: inputs, then target, synthesis and error of {', '.join(comparison.outputs)}"
        svg = as_svg(figure, title, salt=f"slice{number}")
        drawings.append(Drawing(str(name), Markup(svg), round(figure.get_figwidth() * 150)))
    return drawings


def _distributions(table: Table) -> list[Drawing]:
    """A drawing per metric with a panel per region."""
    drawings = []
    for title in dict.fromkeys(column.title for column in table.columns.values()):
        columns = {name: column for name, column in table.columns.items() if column.title == title}
        if not shown_rows(replace(table, columns=columns)):
            continue
        figure = draw_violins(replace(table, columns=columns), ink=INK)
        svg = as_svg(figure, f"{title}: violins over the {table.subjects.measured}", salt="spread")
        drawings.append(Drawing(title, Markup(svg), round(figure.get_figwidth() * 130)))
    return drawings


def _curves(members: Members, table: Table | None) -> list[tuple[str, Markup]]:
    """A chart per validation metric: a line per child and reported role, the seeds of a variant in one color."""
    charts: dict[str, dict[str, Series]] = {}
    kinds: dict[str, str] = {}
    for member in members.members:
        for title, role, series in _validation(member):
            kind = _kind(member, role, table)
            if kind:
                label = f"{member.id}/{role}"
                kinds[label] = kind
                charts.setdefault(title, {})[label] = series
    return [
        (title, Markup(draw_chart(Chart(title, series, kinds=kinds), salt=f"validation{i}")))
        for i, (title, series) in enumerate(charts.items())
    ]


def _validation(member: Member) -> Iterator[tuple[str, str, Series]]:
    curves = gather(records_of(member.folder))
    for chart in curves.sections.get("validation", []):
        for role, series in chart.series.items():
            yield chart.title, role, series


def _kind(member: Member, role: str, table: Table | None) -> str:
    """The name of a child's role, as in the table; empty for a role that is not reported."""
    if table is not None and member.evaluation is not None:
        rows = [row for row in table.rows if row.method == role and member.folder in row.folders]
        return rows[0].name if rows else ""
    changes = [f"{key.rpartition('.')[2]} {value}" for key, value in member.changes.items()]
    predicts = member.recipe.get("predict", role)
    wanted = member.report or {predicts: ""}
    alone = role == predicts and len(wanted) == 1
    return ", ".join([member.title(role, alone=alone), *changes]) if role in wanted else ""


# -- runs ------------------------------------------------------------------------------------------------------


def _run(sweep: Path, member: Member) -> Run:
    status = RunFiles(member.folder).status()
    report = member.folder / REPORT
    state = str(status.get("state") or "waiting")
    changes = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in member.changes.items())
    return Run(
        id=member.id,
        label=", ".join(filter(None, [member.label, changes])),
        seed=member.seed,
        state=state,
        problem=member.problem.removeprefix(f"{state}: "),
        duration=duration(status["seconds"]) if "seconds" in status else "",
        report=report.relative_to(sweep).as_posix() if report.is_file() else "",
        mlflow=_mlflow(member.folder),
    )


def _mlflow(run: Path) -> str:
    """The address of a run in the MLflow UI (of `gantk ui` if the store has no server), without credentials."""
    cursor = Cursor.load(run / TRACKING)
    if not cursor.run_id:
        return ""
    server = shown(cursor.uri).rstrip("/") if cursor.uri.startswith(("http://", "https://")) else UI
    return f"{server}/#/runs/{cursor.run_id}"
