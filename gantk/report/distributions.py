"""The distribution of a metric over the test patients: a histogram per method, all with the same bins."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gantk.report.curves import COLOURS
from gantk.tables.model import Table, TableRow, region_title
from gantk.tables.numbers import column_title

__all__ = ["draw_distributions", "painted", "shown_rows"]

# inches
LABEL, PANEL, ROW, GAP, TOP, BOTTOM = 1.45, 2.3, 0.5, 0.16, 0.3, 0.42
SMALL, NORMAL = 7.0, 8.0
BASELINE = "#8d949c"


def shown_rows(table: Table) -> list[TableRow]:
    """The rows with a finite value of some patient in one of the table's columns."""
    return [row for row in table.rows if any(_finite(row.patients()[name].values()).size for name in table.columns)]


def painted(rows: Iterable[TableRow]) -> list[tuple[TableRow, str]]:
    """The rows with their colors; baselines are gray."""
    colours = cycle(COLOURS)
    return [(row, BASELINE if row.baseline else next(colours)) for row in rows]


def draw_distributions(table: Table, *, ink: str = "black") -> Figure:
    """A row per method, baselines last, and a panel per column of the table; a tick per patient, a line at the mean.

    A patient's value is the mean over the row's seeds; patients and methods without a finite one are left out.
    """
    columns = list(table.columns)
    rows = shown_rows(table)
    width = LABEL + len(columns) * (PANEL + GAP)
    height = TOP + len(rows) * ROW + BOTTOM
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    values = {row: row.patients() for row in rows}
    colours = dict(painted(rows))
    for place, column in enumerate(columns):
        found = {row: _finite(values[row][column].values()) for row in rows}
        everything = np.concatenate(list(found.values()))
        if not everything.size:
            continue
        bins = np.histogram_bin_edges(everything, _bins(max(map(len, found.values()))))
        most = max(np.histogram(one, bins)[0].max() for one in found.values() if one.size)
        left = LABEL + place * (PANEL + GAP)
        for line, row in enumerate(rows):
            bottom = height - TOP - (line + 1) * ROW
            axes = figure.add_axes((left / width, bottom / height, PANEL / width, ROW * 0.86 / height))
            _draw(axes, found[row], bins, most, colours[row], ink, last=line == len(rows) - 1)
        several = len({c.region for c in table.columns.values()}) > 1
        title = region_title(table.columns[column].region) if several else ""
        middle = (left + PANEL / 2) / width
        figure.text(
            middle, 1 - TOP / 2 / height, title, size=NORMAL, weight="bold", ha="center", va="center", color=ink
        )
        named = column_title(table.columns[column])
        figure.text(middle, 0.12 / height, named, size=SMALL, ha="center", va="center", color=ink, parse_math=False)
    for line, row in enumerate(rows):
        text = "\n".join(textwrap.wrap(row.name, 24)[:3])
        at = 1 - (TOP + (line + 0.5) * ROW) / height
        # a dollar sign in a name is not a formula
        at_left = (LABEL - 0.1) / width
        figure.text(at_left, at, text, size=SMALL, ha="right", va="center", color=ink, parse_math=False)
    return figure


def _draw(axes: Axes, values: np.ndarray, bins: np.ndarray, most: int, colour: str, ink: str, *, last: bool) -> None:
    axes.hist(values, bins.tolist(), color=colour, alpha=0.75, edgecolor=colour, linewidth=0.6)
    axes.plot(values, np.full(len(values), -0.1 * most), "|", color=ink, alpha=0.6, markersize=3, markeredgewidth=0.6)
    if values.size:
        axes.axvline(values.mean(), color=ink, linewidth=1.0)
    margin = 0.03 * (bins[-1] - bins[0])
    axes.set_xlim(bins[0] - margin, bins[-1] + margin)
    axes.set_ylim(-0.22 * most, 1.1 * most)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="x", labelsize=SMALL, labelbottom=last, length=2, width=0.5, color=ink, labelcolor=ink)
    axes.grid(True, axis="x", color=ink, alpha=0.12, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.patch.set_alpha(0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(ink)
        spine.set_linewidth(0.5)


def _finite(values: Iterable[float]) -> np.ndarray:
    array = np.array(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def _bins(patients: int) -> int:
    return int(min(40, max(14, round(3 * patients**0.5))))
