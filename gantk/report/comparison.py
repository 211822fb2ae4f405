"""A figure of one slice translated by several methods, one row each, with one gray window and one error scale."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gantk.errors import EvaluationError
from gantk.evaluation.examples import Examples
from gantk.report.figures import tumour_box
from gantk.report.tiles import ERROR, GREY, Box, Window, error_map

__all__ = ["Comparison", "Shown", "combine", "draw_comparison"]

# inches
TILE, GAP, MIDDLE, EDGE = 1.08, 0.03, 0.12, 0.06
LABEL, TITLE, HEADER, BARS = 0.5, 0.24, 0.17, 0.46
COLUMNS = 3
SMALL, NORMAL = 6.5, 8.0
FRAME = "#ffc400"
NEAR = 1e-3
"""Images of the same slice differ by less than this: half a code of a 16-bit image is 1.5e-5."""


@dataclass(frozen=True)
class Shown:
    """One slice in one run; images are float32 in [-1, 1], (H, W), or (H, W, 3) in color.

    Args:
        inputs: by modality.
        target: the target image.
        segmentation: (H, W) labels.
        output: the output of the run's role.
    """

    inputs: dict[str, np.ndarray]
    target: np.ndarray
    segmentation: np.ndarray
    output: np.ndarray

    @classmethod
    def of(cls, examples: Examples, index: int, role: str) -> Shown:
        """Take one of the example slices of a run, which have a target."""
        assert examples.target is not None
        return cls(
            inputs={name: images[index] for name, images in examples.inputs.items()},
            target=examples.target[index],
            segmentation=examples.segmentation[index],
            output=examples.outputs[role][index],
        )


@dataclass(frozen=True)
class Comparison:
    """One slice in several runs: the common images, and the output of each run by label."""

    title: str
    inputs: dict[str, np.ndarray]
    target: np.ndarray
    segmentation: np.ndarray
    outputs: dict[str, np.ndarray]


def combine(title: str, shown: Mapping[str, Shown]) -> Comparison:
    """Combine one slice of several runs, by label, with the inputs of all runs.

    Raises:
        EvaluationError: the targets of the runs differ.
    """
    (first, one), *others = shown.items()
    inputs = dict(one.inputs)
    for label, other in others:
        if other.target.shape != one.target.shape:
            raise _other(title, f"{_size(one.target)} pixels in {first}, {_size(other.target)} in {label}")
        if not np.allclose(other.target, one.target, rtol=0, atol=NEAR):
            off = float(np.abs(other.target - one.target).max()) / 2
            raise _other(title, f"the targets of {first} and {label} differ by up to {off:.2g} on the scale [0, 1]")
        for name, image in other.inputs.items():
            if name not in inputs or not (inputs[name] > -1).any():  # hidden from the run before
                inputs[name] = image
    outputs = {label: each.output for label, each in shown.items()}
    return Comparison(title, inputs, one.target, one.segmentation, outputs)


def draw_comparison(comparison: Comparison, *, ink: str = "black", smooth: bool = True) -> Figure:
    """Draw the inputs once, then a row per method: target, synthesis, error map and the enlarged tumor.

    Images share the window [0, 1], error maps [0, 0.3] of an image in [0, 1]; without a tumor, the right half is
    omitted.

    Args:
        comparison: the slice.
        ink: color of text.
        smooth: interpolate images, for print; otherwise pixels are unchanged, for pages that scale images.
    """
    box = tumour_box(comparison.segmentation)
    return _Sheet(comparison, box, ink, "bicubic" if smooth else "none").draw()


class _Sheet:
    """A figure laid out in inches, from the top."""

    def __init__(self, comparison: Comparison, box: Box | None, ink: str, interpolation: str) -> None:
        self.comparison, self.box, self.ink, self.interpolation = comparison, box, ink, interpolation
        rows, columns = comparison.target.shape[:2]
        self.tall = TILE * rows / columns
        self.blocks = math.ceil(len(comparison.inputs) / COLUMNS)
        lines = self.blocks + len(comparison.outputs)
        half = COLUMNS * (TILE + GAP) - GAP
        self.width = LABEL + half + (MIDDLE + half if box else 0) + EDGE
        self.height = TITLE + self.blocks * HEADER + HEADER + lines * (self.tall + GAP) + MIDDLE + BARS
        self.figure = Figure(figsize=(self.width, self.height))
        FigureCanvasAgg(self.figure)
        self.top = 0.0

    def draw(self) -> Figure:
        shared = self.comparison
        self._text(shared.title, LABEL, TITLE / 2, size=NORMAL, weight="bold", ha="left")
        self.top = TITLE
        names = list(shared.inputs)
        for start in range(0, len(names), COLUMNS):
            row = names[start : start + COLUMNS]
            self._headers(row)
            self._row("inputs" if start == 0 else "", [(shared.inputs[name], GREY) for name in row])
        self.top += MIDDLE
        self._headers(["target", "synthesis", "|synthesis − target|"])
        for label, output in shared.outputs.items():
            error = error_map(output, shared.target)
            self._row(label, [(shared.target, GREY), (output, GREY), (error, ERROR)])
        self._bars()
        return self.figure

    def _headers(self, titles: list[str]) -> None:
        for column, title in enumerate(titles):
            self._text(title, self._left(column) + TILE / 2, self.top + HEADER / 2)
            if self.box:
                factor = self.comparison.target.shape[1] / (self.box[3] - self.box[2])
                short = "error" if title.startswith("|") else title
                self._text(f"{short} × {factor:.1f}", self._left(column, zoom=True) + TILE / 2, self.top + HEADER / 2)
        self.top += HEADER

    def _row(self, label: str, images: list[tuple[np.ndarray, Window]]) -> None:
        fits = max(8, int(self.tall / (SMALL / 72 * 0.58)))
        lines = textwrap.wrap(label, fits)[: int((LABEL - 0.08) / (SMALL / 72 * 1.2))]
        self._text("\n".join(lines), LABEL / 2, self.top + self.tall / 2, rotation=90, linespacing=1.1)
        for column, (image, window) in enumerate(images):
            axes = self._axes(self._left(column), self.top, TILE, self.tall)
            self._show(axes, image, window)
            if self.box:
                top, bottom, left, right = self.box
                axes.add_patch(
                    Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec=FRAME, lw=0.7)
                )
                zoom = self._axes(self._left(column, zoom=True), self.top, TILE, self.tall)
                self._show(zoom, image[top:bottom, left:right], window)
        self.top += self.tall + GAP

    def _bars(self) -> None:
        """Draw the color bars below their columns."""
        grey = self.comparison.target.ndim == 2
        bars = [(GREY, "intensity", 0, 2, (0.0, 1.0))] if grey else []  # pictures in color need none
        bars.append((ERROR, "absolute error", 2, 1, (ERROR.low, ERROR.high)))
        for zoom in (False, True) if self.box else (False,):
            for window, title, column, span, (low, high) in bars:
                wide = span * (TILE + GAP) - GAP - 0.16
                axes = self._axes(self._left(column, zoom=zoom) + 0.08, self.top + 0.06, wide, 0.09)
                values = np.linspace(window.low, window.high, 256)[None]
                axes.imshow(
                    values, cmap=window.colours, vmin=window.low, vmax=window.high, aspect="auto",
                    extent=(low, high, 0, 1),
                )  # fmt: skip
                axes.set_xticks(np.linspace(low, high, 3))
                ends = ["0", f"{(low + high) / 2:g}", f"{high:g}" if window is GREY else f"≥ {high:g}"]
                axes.set_xticklabels(ends, fontsize=SMALL, color=self.ink)
                axes.tick_params(axis="x", length=2, width=0.5, pad=1, color=self.ink, bottom=True)
                axes.set_xlabel(title, fontsize=SMALL, color=self.ink, labelpad=1)

    def _left(self, column: int, *, zoom: bool = False) -> float:
        half = COLUMNS * (TILE + GAP) - GAP + MIDDLE
        return LABEL + column * (TILE + GAP) + (half if zoom else 0)

    def _show(self, axes: Axes, image: np.ndarray, window: Window) -> None:
        if image.ndim == 3:
            axes.imshow(np.clip((image + 1) / 2, 0, 1), interpolation=self.interpolation)
        else:
            axes.imshow(
                image, cmap=window.colours, vmin=window.low, vmax=window.high, interpolation=self.interpolation,
                interpolation_stage="data",
            )  # fmt: skip

    def _axes(self, left: float, top: float, wide: float, tall: float) -> Axes:
        bottom = self.height - top - tall
        place = (left / self.width, bottom / self.height, wide / self.width, tall / self.height)
        axes = self.figure.add_axes(place)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def _text(self, text: str, left: float, top: float, **how: Any) -> None:
        settings: dict[str, Any] = {"ha": "center", "va": "center", "size": SMALL, "color": self.ink} | how
        # a dollar sign in a name is not a formula
        self.figure.text(left / self.width, 1 - top / self.height, text, parse_math=False, **settings)


def _other(title: str, why: str) -> EvaluationError:
    return EvaluationError(
        f"{title} is not the same image in all runs",
        why=why,
        mend="draw runs with the same data, spacing, crop and normalization",
    )


def _size(image: np.ndarray) -> str:
    return " × ".join(map(str, image.shape))
