"""Figures over the test patients: violins, Bland-Altman agreement, errors against tumor size or a weight map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from gantk.data.normalisation import BACKGROUND
from gantk.errors import EvaluationError
from gantk.evaluation.examples import Examples
from gantk.files import write_csv
from gantk.report.comparison import Comparison, draw_comparison
from gantk.report.curves import COLOURS
from gantk.report.distributions import BASELINE, draw_violins, painted, shown_rows
from gantk.report.saving import save_figure
from gantk.tables.model import Table, TableRow, region_title
from gantk.tables.numbers import column_title

__all__ = [
    "Drawn",
    "agreement",
    "error_by_weight",
    "intensities",
    "save",
    "slice_of",
    "tumour_size",
    "violins",
]

PANEL, HIGH = 2.9, 2.7  # inches
SMALL, NORMAL = 7.0, 8.0
LIMIT = 1.96
BINS = 12
GREYS = (BASELINE, "#454b52", "#b4bac1")
MARKERS = ("s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Drawn:
    """A figure, and the numbers in it.

    Attributes:
        figure: the figure.
        header: names of the columns of the numbers.
        rows: the numbers.
    """

    figure: Figure
    header: Sequence[str]
    rows: Sequence[Sequence[object]]


def save(drawn: Drawn, path: Path) -> Path:
    """Write a PNG or PDF and, next to it, its numbers as CSV; return the path of the CSV.

    Raises:
        UsageError: the name has another suffix, or a file cannot be written.
    """
    save_figure(drawn.figure, path)
    beside = path.with_suffix(".csv")
    write_csv(beside, [drawn.header, *drawn.rows])
    return beside


def agreement(table: Table) -> Drawn:
    """Bland-Altman plot of each method's values and those of the first row: difference against mean, per patient.

    Raises:
        EvaluationError: there is only one method.
    """
    first, *others = shown_rows(table)
    if not others:
        raise EvaluationError("agreement needs two methods, but there is one", mend="name more runs or roles")
    figure, panels = _panels(table)
    numbers: list[Sequence[object]] = []
    for (name, column), axes in zip(table.columns.items(), panels, strict=True):
        known = first.patients()[name]
        for row, *look in _marked(others):
            found = row.patients()[name]
            pairs = {p: (known[p], found[p]) for p in known if p in found}
            numbers += [(row.name, first.name, name, *more) for more in _against(axes, pairs, row.name, *look)]
        axes.set_xlabel(f"mean of both, {column_title(column)}", size=SMALL)
        axes.set_ylabel(f"difference from {first.name}", size=SMALL, parse_math=False)
    _legend(figure)
    return Drawn(figure, ("method", "reference", "column", table.subjects.noun, *_AGREED), numbers)


def intensities(
    found: Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]], regions: Sequence[str], noun: str
) -> Drawn:
    """Bland-Altman plot of the outputs' and the targets' mean intensities: a panel per region, a point per patient.

    Args:
        found: the mean intensities of target and output in [0, 1], by method, region and patient.
        regions: the regions to show.
        noun: the word for a patient.

    Raises:
        EvaluationError: no method has any of the regions.
    """
    shown = [region for region in regions if any(by_region.get(region) for by_region in found.values())]
    if not shown:
        raise EvaluationError("no region has intensities", mend="name another region, or evaluate the runs again")
    figure, panels = _figure(len(shown), PANEL)
    numbers: list[Sequence[object]] = []
    for region, axes in zip(shown, panels, strict=True):
        for (method, by_region), colour in zip(found.items(), cycle(COLOURS), strict=False):
            pairs = by_region.get(region, {})
            numbers += [(method, region, *more) for more in _against(axes, pairs, method, colour)]
        axes.set_title(region_title(region), size=NORMAL, weight="bold")
        axes.set_xlabel("mean of target and output, in [0, 1]", size=SMALL)
        axes.set_ylabel("output − target", size=SMALL)
    _legend(figure)
    return Drawn(figure, ("method", "region", noun, *_AGREED), numbers)


_AGREED = ("mean", "difference", "bias", "lower", "upper")


def _against(
    axes: Axes, pairs: Mapping[str, tuple[float, float]], label: str, colour: str, marker: str = "o"
) -> list[tuple[str, float, float, float, float, float]]:
    """Draw the differences of pairs (reference, value) against their means, with bias and limits of agreement.

    Returns:
        The mean and difference of each patient, with the overall bias and limits.
    """
    finite = {patient: pair for patient, pair in pairs.items() if np.isfinite(pair).all()}
    if not finite:
        return []
    known, found = np.array([*finite.values()], float).T
    mean, difference = (known + found) / 2, found - known
    bias = float(difference.mean())
    spread = LIMIT * float(difference.std(ddof=1)) if len(finite) > 1 else 0.0
    axes.plot(mean, difference, marker, color=colour, markersize=3, alpha=0.8, label=label)
    for height, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
        axes.axhline(height, color=colour, linestyle=style, linewidth=0.8)
    axes.axhline(0, color="black", linewidth=0.4)
    return [
        (patient, float(m), float(d), bias, bias - spread, bias + spread)
        for patient, m, d in zip(finite, mean, difference, strict=True)
    ]


def tumour_size(table: Table, sizes: Mapping[str, float]) -> Drawn:
    """A metric against tumor size: a point per patient, and the least-squares line over the logarithm of the size.

    Raises:
        EvaluationError: no patient has a tumor whose size was recorded.
    """
    known = {patient: size for patient, size in sizes.items() if size > 0}
    if not known:
        raise EvaluationError(
            f"no {table.subjects.noun} has a tumor whose size was recorded",
            mend="evaluate runs whose patients have segmentations",
        )
    return _scatter(table, known, "tumor size, pixels of all slices")


def error_by_weight(examples: Mapping[str, tuple[Examples, str]], name: str) -> Drawn:
    """The error against a weight map, for foreground pixels of the example slices in equally filled bins.

    Args:
        examples: the example slices and the name of the output, by method.
        name: the name of the weight map.

    Raises:
        EvaluationError: no run has this map for its example slices.
    """
    figure, (axes,) = _figure(1, PANEL * 1.3)
    numbers: list[Sequence[object]] = []
    for (method, (shown, role)), colour in zip(examples.items(), cycle(COLOURS), strict=False):
        weights = shown.weights.get(name)
        if weights is None or shown.target is None:
            continue
        inside = np.max([*shown.inputs.values()], axis=0) > BACKGROUND
        inside = inside if inside.ndim == 3 else inside.any(axis=-1)
        error = np.abs(shown.outputs[role] - shown.target) / 2
        error = error if error.ndim == 3 else error.mean(axis=-1)
        weight, error = weights[inside], error[inside]
        order = np.argsort(weight, kind="stable")
        parts = [part for part in np.array_split(order, BINS) if part.size]
        middle = [float(weight[part].mean()) for part in parts]
        low, mean, high = (
            [float(f(error[part])) for part in parts]
            for f in (lambda e: np.percentile(e, 25), np.mean, lambda e: np.percentile(e, 75))
        )
        axes.fill_between(middle, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(middle, mean, "o-", color=colour, markersize=3, linewidth=1, label=method)
        numbers += [(method, name, *values) for values in zip(middle, low, mean, high, map(len, parts), strict=True)]
    if not numbers:
        known = sorted({one for shown, _ in examples.values() for one in shown.weights})
        raise EvaluationError(
            f"no example slice has the weight map {name!r}",
            why=f"there are {', '.join(known)}" if known else "these runs use no weight map",
            mend="name a map with its role, MAP/ROLE" if known else None,
        )
    axes.set_xlabel(name, size=SMALL, parse_math=False)
    axes.set_ylabel("absolute error of images in [0, 1]:\nmean and quartiles", size=SMALL)
    _legend(figure)
    return Drawn(figure, ("method", "map", "weight", "error 25 %", "error mean", "error 75 %", "pixels"), numbers)


def violins(table: Table) -> Drawn:
    """A violin per method and column, see `draw_violins`."""
    numbers = [
        (row.name, name, patient, value)
        for name in table.columns
        for row in shown_rows(table)
        for patient, value in row.patients()[name].items()
        if np.isfinite(value)
    ]
    return Drawn(draw_violins(table), ("method", "column", table.subjects.noun, "value"), numbers)


def slice_of(shown: Comparison) -> Drawn:
    """One slice translated by several methods, see `draw_comparison`; the numbers are mean absolute errors."""
    numbers = [(m, shown.title, float(np.abs(o - shown.target).mean() / 2)) for m, o in shown.outputs.items()]
    return Drawn(draw_comparison(shown), ("method", "slice", "mean absolute error of images in [0, 1]"), numbers)


def _scatter(table: Table, places: Mapping[str, float], title: str) -> Drawn:
    figure, panels = _panels(table)
    numbers: list[Sequence[object]] = []
    for (name, column), axes in zip(table.columns.items(), panels, strict=True):
        for row, colour, marker in _marked(shown_rows(table)):
            found = {p: v for p, v in row.patients()[name].items() if p in places and np.isfinite(v)}
            x, y = np.array([places[p] for p in found]), np.array([*found.values()])
            axes.plot(x, y, marker, color=colour, markersize=3, alpha=0.8, label=row.name)
            if len({*x}) > 1:
                slope, start = np.polyfit(np.log(x), y, 1)
                ends = np.geomspace(x.min(), x.max(), 32)
                axes.plot(ends, slope * np.log(ends) + start, color=colour, linewidth=0.8)
            numbers += [(row.name, name, p, places[p], v) for p, v in found.items()]
        _by_size(axes, places)
        axes.set_xlabel(title, size=SMALL)
        axes.set_ylabel(column_title(column), size=SMALL)
    _legend(figure)
    return Drawn(figure, ("method", "column", table.subjects.noun, "size", "value"), numbers)


def _marked(rows: Sequence[TableRow]) -> list[tuple[TableRow, str, str]]:
    """The rows with color and marker: methods differ in color; baselines are gray and differ in their marker."""
    looks = zip(cycle(GREYS), cycle(MARKERS), strict=False)
    return [(row, *next(looks)) if row.baseline else (row, colour, "o") for row, colour in painted(rows)]


def _by_size(axes: Axes, places: Mapping[str, float]) -> None:
    """A logarithmic axis of sizes, labeled with plain numbers."""
    wide = max(places.values()) > 4 * min(places.values())
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if wide else range(1, 10)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _panels(table: Table, width: float = PANEL) -> tuple[Figure, list[Axes]]:
    figure, panels = _figure(len(table.columns), width)
    if len({column.region for column in table.columns.values()}) > 1:
        for column, axes in zip(table.columns.values(), panels, strict=True):
            axes.set_title(region_title(column.region), size=NORMAL, weight="bold")
    return figure, panels


def _figure(count: int, width: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(count * width, HIGH), layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Axes] = [figure.add_subplot(1, count, place + 1) for place in range(count)]
    for axes in panels:
        axes.tick_params(labelsize=SMALL, length=2, width=0.5)
        axes.grid(True, alpha=0.15, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _legend(figure: Figure) -> None:
    """One legend for all panels, outside of them."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
