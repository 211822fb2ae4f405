"""Curves of a run from its journal, as inline SVG that takes the page's font and text color."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gantk.report.saving import INK, as_svg
from gantk.runs.names import JOURNAL
from gantk.tracking.journal import Journal

__all__ = ["COLOURS", "Chart", "Curves", "draw_chart", "gather", "records_of"]

COLOURS = ("#3b82d6", "#e0702f", "#2f9e6e", "#b65fc2", "#c9a227", "#d1495b", "#5b8c9c", "#8a7a6a")
STYLES = ("-", (0, (4, 1.5)), (0, (1, 1)))
"""Line styles for additional series, when all colors are used."""
MOST_POINTS = 300
ONE_AXIS = 10
"""The factor by which losses on one linear axis may differ in size."""

Series = tuple[np.ndarray, np.ndarray]
"""Steps and values, in the order of the steps."""


@dataclass(frozen=True)
class Chart:
    """Series that share axes, by label; `logarithmic` if the values allow it.

    Series of one kind, which `kinds` names by label, share a color and a line of the legend.
    """

    title: str
    series: dict[str, Series]
    logarithmic: bool = False
    kinds: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Curves:
    """The charts of a run by section (`losses`, `rates`, `validation`, …), and the first step of each stage."""

    sections: dict[str, list[Chart]]
    stages: list[tuple[int, str]] = field(default_factory=list)


SECTIONS = {"train": "losses", "rate": "rates"}


def records_of(run: Path) -> Iterator[dict[str, Any]]:
    """The records of a run's journal; none if it cannot be read (`RunFiles.damages` reports this)."""
    with suppress(OSError):
        yield from Journal(run / JOURNAL).records()


def gather(records: Iterable[Mapping[str, Any]]) -> Curves:
    """Group the journal's metrics into charts.

    `train/ROLE/TERM` and `rate/ROLE/NAME` make a chart per role with a series per term; `KIND/ROLE/METRIC` with any
    other kind, such as `validation`, makes a chart per metric with a series per role. If a step was recorded twice, its
    last value counts; values that are not numbers are skipped.
    """
    found: dict[str, dict[int, float]] = {}
    stages: list[tuple[int, str]] = []
    for record in records:
        step, stage = int(record["step"]), str(record.get("stage", ""))
        if stage and (not stages or stages[-1][1] != stage):
            stages.append((step, stage))
        for name, value in record["metrics"].items():
            if isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, {})[step] = float(value)
    grouped: dict[str, dict[str, dict[str, Series]]] = {}
    for name, points in found.items():
        kind, _, rest = name.partition("/")
        role, _, term = rest.partition("/")
        title, label = (role, term or role) if kind in SECTIONS else (term or role, role)
        steps = sorted(points)
        series = np.array(steps), np.array([points[step] for step in steps])
        grouped.setdefault(SECTIONS.get(kind, kind), {}).setdefault(title, {})[label] = series
    order = [*SECTIONS.values(), "validation"]
    sections = {
        kind: [chart for title, series in grouped[kind].items() for chart in _charts(title, series, kind == "losses")]
        for kind in sorted(grouped, key=lambda k: (order.index(k) if k in order else len(order), k))
    }
    return Curves(sections, stages)


def _charts(title: str, series: dict[str, Series], losses: bool) -> Iterator[Chart]:
    """One chart, or several if one axis would only show the largest losses.

    A logarithmic axis shows all sizes, and needs positive values.
    """
    positive = all(values.min() > 0 for _, values in series.values())
    if not losses or positive:
        yield Chart(title, series, losses)
        return
    sizes = {label: float(np.quantile(np.abs(values), 0.9)) for label, (_, values) in series.items()}
    groups: list[dict[str, Series]] = []
    largest = 0.0
    for label in sorted(series, key=lambda label: -sizes[label]):
        if not groups or sizes[label] * ONE_AXIS < largest:
            groups.append({})
            largest = sizes[label]
        groups[-1][label] = series[label]
    for group in groups:
        yield Chart(title if len(groups) == 1 else f"{title}: {', '.join(group)}", group, logarithmic=True)


def draw_chart(chart: Chart, stages: Sequence[tuple[int, str]] = (), *, salt: str = "") -> str:
    """The chart as an `<svg>` element for a page; vertical lines with names mark the stages.

    The value axis is logarithmic only if all values are positive and span more than a factor of 30. Long series show
    the means of equal spans of steps, over a faint band from the smallest to the largest value.

    Args:
        chart: what to draw.
        stages: first step and name of each stage.
        salt: makes the ids inside the SVG unique on a page.
    """
    settings: Any = {
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(5.4, 3.1), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _draw(figure, axes, chart, stages)
        return as_svg(figure, chart.title, salt=salt)


def _draw(figure: Figure, axes: Axes, chart: Chart, stages: Sequence[tuple[int, str]]) -> None:
    everything = np.concatenate([values for _, values in chart.series.values()])
    if chart.logarithmic and everything.min() > 0 and everything.max() > 30 * everything.min():
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.ticklabel_format(axis="y", scilimits=(-2, 4), useMathText=False)
    kinds = list(dict.fromkeys(chart.kinds.get(label, label) for label in chart.series))
    named: set[str] = set()
    for label, (steps, values) in chart.series.items():
        kind = chart.kinds.get(label, label)
        rounds, place = divmod(kinds.index(kind), len(COLOURS))
        colour, style = COLOURS[place], STYLES[rounds % len(STYLES)]
        if len(steps) > MOST_POINTS:
            steps, values, least, greatest = _binned(steps, values)
            axes.fill_between(steps, least, greatest, color=colour, alpha=0.16, linewidth=0)
        few = len(steps) < 25
        axes.plot(
            steps, values, color=colour, linestyle=style, linewidth=1.5, marker="o" if few else "", markersize=3,
            label=f"_{kind}" if kind in named else kind,
        )  # fmt: skip
        named.add(kind)
    last = max(int(steps[-1]) for steps, _ in chart.series.values())
    first = min(int(steps[0]) for steps, _ in chart.series.values())
    ends = [step for step, _ in stages[1:]] + [last + 1]
    inside = [(step, name) for (step, name), end in zip(stages, ends, strict=False) if step <= last and end > first]
    for i, (step, name) in enumerate(inside):
        if i:
            axes.axvline(step, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.55)
        if len(inside) > 1:
            at = max(step, first)
            axes.annotate(
                name,
                (at, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, -2),
                textcoords="offset points",
                va="top",
                fontsize=8,
                alpha=0.7,
                color=INK,
                parse_math=False,
            )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("step", loc="right", labelpad=1)
    axes.margins(y=0.12)  # room for the names of the stages
    axes.grid(True, color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    legend = figure.legend(
        loc="outside lower left",
        ncols=min(3 if max(map(len, kinds)) < 20 else 2, len(kinds)),
        frameon=False,
        fontsize=9,
        handlelength=1.2,
    )
    for text in legend.get_texts():  # a dollar sign in a name is not a formula
        text.set_parse_math(False)


def _binned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Middle step, mean, minimum and maximum of spans with (almost) the same number of points."""
    pieces = np.array_split(np.arange(len(steps)), MOST_POINTS // 2)
    middle = np.array([steps[p].mean() for p in pieces])
    parts = [values[p] for p in pieces]
    return (
        middle,
        np.array([p.mean() for p in parts]),
        np.array([p.min() for p in parts]),
        np.array([p.max() for p in parts]),
    )
