"""Figures over the test patients of runs and sweeps, with their numbers as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from gantk.errors import EvaluationError
from gantk.evaluation.examples import Examples
from gantk.evaluation.intensities import INTENSITIES, Intensities
from gantk.evaluation.results import Evaluation
from gantk.report import relations
from gantk.report.distributions import shown_rows
from gantk.report.saving import check_format
from gantk.runs.names import EVALUATION
from gantk.tables.paper import result_table

__all__ = ["Relation", "error_by_weight", "intensities", "relation"]

Relation = Literal["violin", "bland-altman", "tumour-size"]


def relation(
    folders: Sequence[Path],
    out: Path,
    *,
    kind: Relation,
    metric: str,
    regions: Sequence[str] = (),
    roles: Sequence[str] = (),
) -> Path:
    """Draw a metric over the test patients into a PNG or PDF, and write the numbers beside it as CSV.

    Args:
        folders: of runs and sweeps.
        out: the figure.
        kind: the kind of drawing, see `gantk.report.relations`.
        metric: the metric.
        regions: panels; empty: all regions.
        roles: roles of every run; empty: the roles that its sweep reports.

    Returns:
        The CSV file.

    Raises:
        UsageError: a metric, region or role is unknown, or the file's name or place is wrong.
        EvaluationError: nothing was evaluated, or there is nothing to be drawn.
    """
    check_format(out)
    table = result_table(folders, metrics=[metric], regions=regions, roles=roles)
    if not shown_rows(table):
        raise EvaluationError(f"no {table.subjects.noun} has a value of {metric}", mend="choose another metric")
    if kind != "tumour-size":
        draw = relations.violins if kind == "violin" else relations.agreement
        return relations.save(draw(table), out)
    runs = {folder for row in table.rows for folders in row.runs.values() for folder in folders}
    runs |= {folder for row in table.rows for folder in row.folders}
    images = [Evaluation.read(run / EVALUATION).images for run in sorted(runs)]
    sizes = {subject: facts["tumour"] for found in images for subject, facts in found.items() if "tumour" in facts}
    return relations.save(relations.tumour_size(table, sizes), out)


def error_by_weight(folders: Sequence[Path], out: Path, *, name: str, roles: Sequence[str] = ()) -> Path:
    """Draw the error of example slices over a weight map into a PNG or PDF, with a CSV beside it, which is returned.

    Args:
        folders: of runs and sweeps.
        out: the figure.
        name: the map with its role, `MAP/ROLE`.
        roles: roles of every run; empty: the roles that its sweep reports.

    Raises:
        UsageError: a role is unknown, or the file's name or place is wrong.
        EvaluationError: no run has such a map on example slices.
    """
    check_format(out)
    table = result_table(folders, roles=roles, force=True)
    shown = {
        row.name: (Examples.load(row.folders[0] / EVALUATION / "examples.npz"), row.method)
        for row in table.rows
        if not row.baseline and row.folders
    }
    return relations.save(relations.error_by_weight(shown, name), out)


def intensities(folders: Sequence[Path], out: Path, *, regions: Sequence[str] = (), roles: Sequence[str] = ()) -> Path:
    """Draw how well methods meet the target's mean intensities, after Bland and Altman, with a CSV beside it.

    Args:
        folders: of runs and sweeps.
        out: the figure, a PNG or PDF.
        regions: panels; empty: all regions.
        roles: roles of every run; empty: the roles that its sweep reports.

    Returns:
        The CSV file.

    Raises:
        UsageError: a region or role is unknown, or the file's name or place is wrong.
        EvaluationError: nothing was evaluated, or an evaluation holds no intensities.
    """
    check_format(out)
    table = result_table(folders, regions=regions, roles=roles)
    found: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
    for row in shown_rows(table):
        places = list(dict.fromkeys([*row.folders, *(f for several in row.runs.values() for f in several)]))
        known: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for one in (one for place in places for one in Intensities.read(place / EVALUATION / INTENSITIES)):
            if one.method == row.method:
                known.setdefault(one.region, {}).setdefault(one.patient, []).append((one.target, one.made))
        found[row.name] = {
            region: {patient: _middle(values) for patient, values in patients.items()}
            for region, patients in known.items()
        }
    shown = list(dict.fromkeys(column.region for column in table.columns.values()))
    return relations.save(relations.intensities(found, shown, table.subjects.noun), out)


def _middle(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The means over visits and seeds."""
    targets, made = zip(*values, strict=True)
    return sum(targets) / len(values), sum(made) / len(values)
