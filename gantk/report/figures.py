"""The report's figure of a slice: target, synthesis and error map, with the enlarged tumor below."""

from __future__ import annotations

import numpy as np

from gantk.evaluation.examples import Examples
from gantk.report.tiles import ERROR, GAP, GREY, Box, Strip, Window, compose, enlarge, error_map, frame

__all__ = ["columns_of", "draw_figure", "tumour_box"]

MARGIN = 0.12
"""Share of the tumor's size left free on each side of it."""
SMALLEST = 24
"""Pixels of a box around a tumor, of its shorter side."""


def draw_figure(examples: Examples, index: int) -> np.ndarray:
    """Draw one slice with all its pictures: inputs, target, and the output and error map of each role.

    Without a target, only inputs and outputs are drawn. The second row enlarges the box around the tumor that the first
    row shows; without a tumor, it is omitted. The window of images is [-1, 1], that of error maps [0, 0.3] for images
    in [0, 1].

    Args:
        examples: the slices.
        index: the index of the slice.

    Returns:
        (height, width, 3) uint8.
    """
    target = None if examples.target is None else examples.target[index]
    box = tumour_box(examples.segmentation[index])

    def strip(title: str, image: np.ndarray, window: Window, *, emphasis: bool = False) -> Strip:
        tiles = [window.paint(enlarge(image))]
        if box:
            tiles = [frame(tiles[0], box, (image.shape[0], image.shape[1])), window.paint(enlarge(image, box))]
        return Strip(title, tiles, None if window is GREY else window, emphasis=emphasis)

    strips = [strip(name, images[index], GREY) for name, images in examples.inputs.items()]
    if target is not None:
        strips.append(strip("target", target, GREY, emphasis=True))
    for role, images in examples.outputs.items():
        strips.append(strip(role, images[index], GREY, emphasis=True))
        if target is not None:
            strips.append(strip(f"|{role} − target|", error_map(images[index], target), ERROR))
    return compose(strips, ["", ""] if box else [""])


def columns_of(figure: np.ndarray, examples: Examples) -> list[np.ndarray]:
    """The columns of a drawn figure as separate pictures, for narrow pages."""
    width = enlarge(examples.segmentation[0]).shape[1] + GAP
    count = max(1, (figure.shape[1] - GAP) // width)
    return np.split(
        figure[:, : count * width], count, axis=1
    )  # each begins with a gap; the last one's second is left out


def tumour_box(segmentation: np.ndarray) -> Box | None:
    """The box around labels (H, W) > 0 with a margin, in the image's proportions; None without a tumor."""
    rows, columns = np.nonzero(segmentation)
    if not len(rows):
        return None
    height, width = segmentation.shape
    tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    scale = max(tall * (1 + 2 * MARGIN) / height, wide * (1 + 2 * MARGIN) / width, SMALLEST / min(height, width))
    box_height, box_width = (round(side * min(1.0, scale)) for side in (height, width))
    top = _start(int(rows.min()) + tall / 2, box_height, height)
    left = _start(int(columns.min()) + wide / 2, box_width, width)
    return top, top + box_height, left, left + box_width


def _start(centre: float, length: int, limit: int) -> int:
    return int(min(max(round(centre - length / 2), 0), limit - length))
