"""The distribution of a metric over the test patients: a violin per method."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gantk.report.curves import COLOURS
from gantk.tables.model import Table, TableRow, region_title
from gantk.tables.numbers import column_title

__all__ = ["BASELINE", "draw_violins", "painted", "shown_rows"]

LABEL, PANEL, ROW, EDGES = 1.45, 2.3, 0.5, 0.8  # inches
SMALL, NORMAL = 7.0, 8.0
BASELINE = "#8d949c"


def shown_rows(table: Table) -> list[TableRow]:
    """The rows that have a finite value for any patient in any of the table's columns."""
    return [row for row in table.rows if any(_finite(row.patients()[name].values()).size for name in table.columns)]


def painted(rows: Iterable[TableRow]) -> list[tuple[TableRow, str]]:
    """The rows with their colors; baselines are gray."""
    colours = cycle(COLOURS)
    return [(row, BASELINE if row.baseline else next(colours)) for row in rows]


def draw_violins(table: Table, *, ink: str = "black") -> Figure:
    """Draw a row per method, baselines last, and a panel per column of the table.

    A violin shows the density, its box the quartiles, a diamond the mean, and each point a patient.

    A patient's value is the mean over the row's seeds; patients and methods without a finite value are skipped.
    """
    rows = painted(shown_rows(table))
    names = ["\n".join(textwrap.wrap(row.name, 24)[:3]) for row, _ in rows]
    several = len({column.region for column in table.columns.values()}) > 1
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    boxes = ("boxplot.boxprops.color", "boxplot.whiskerprops.color", "boxplot.capprops.color")
    settings: Any = dict.fromkeys((*inked, *boxes), ink)
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(LABEL + PANEL * len(table.columns), EDGES + ROW * len(rows)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(table.columns), sharey=True, squeeze=False)[0]
        for (name, column), axes in zip(table.columns.items(), panels, strict=True):
            for place, (row, colour) in enumerate(rows):
                _draw(axes, place, _finite(row.patients()[name].values()), colour)
            axes.set_title(region_title(column.region) if several else "", size=NORMAL, weight="bold")
            axes.set_xlabel(column_title(column), size=SMALL, parse_math=False)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.tick_params(labelsize=SMALL, length=2, width=0.5)
            axes.grid(True, axis="x", alpha=0.15, linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_yticks(range(len(rows)), names, parse_math=False)
        panels[0].invert_yaxis()
    return figure


def _draw(axes: Axes, place: int, values: np.ndarray, colour: str) -> None:
    """Draw one method's violin, box and points at a height of the panel."""
    if not values.size:
        return
    if np.ptp(values) > 0:
        parts: Any = axes.violinplot(values, [place], orientation="horizontal", widths=0.8, showextrema=False)
        for body in parts["bodies"]:
            body.set_facecolor(colour)
            body.set_alpha(0.35)
    thin = {"linewidth": 0.7}
    axes.boxplot(
        values,
        positions=[place],
        orientation="horizontal",
        widths=0.18,
        showfliers=False,
        showmeans=True,
        manage_ticks=False,
        medianprops={"color": colour},
        meanprops={"marker": "D", "markersize": 3, "markerfacecolor": colour, "markeredgewidth": 0},
        boxprops=thin,
        whiskerprops=thin,
        capprops=thin,
    )
    beside = np.random.default_rng(place).uniform(-0.12, 0.12, values.size)  # so that equal values stay apart
    axes.plot(values, place + beside, ".", color=colour, markersize=2.5, alpha=0.8)


def _finite(values: Iterable[float]) -> np.ndarray:
    array = np.array(list(values), dtype=np.float64)
    return array[np.isfinite(array)]
