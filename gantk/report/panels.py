"""The panel of a validation: one row per slice."""

from __future__ import annotations

import numpy as np

from gantk.evaluation.examples import Examples
from gantk.report.tiles import ERROR, GREY, WEIGHT, Strip, Window, compose, enlarge, error_map, outline

__all__ = ["draw_panel"]


def draw_panel(examples: Examples, *, tumour: bool = False) -> np.ndarray:
    """Inputs | target | outputs | |error| per output | weight maps, one row per slice.

    Windows are fixed (images [-1, 1], errors [0, 0.3] of an image in [0, 1], weights [0, 1.5]), so that panels
    of different steps and runs compare.

    Args:
        examples: N slices; without a target there are no errors.
        tumour: draw the tumor's outline on target and outputs.

    Returns:
        (height, width, 3) uint8.
    """

    def strip(
        title: str,
        images: np.ndarray,
        window: Window,
        *,
        marked: bool = False,
        bar: bool = False,
        unit: str = "",
    ) -> Strip:
        tiles = [window.paint(enlarge(image)) for image in images]
        if tumour and marked:
            pairs = zip(tiles, examples.segmentation, strict=True)
            tiles = [outline(tile, labels > 0) for tile, labels in pairs]
        return Strip(title, tiles, window if bar else None, unit)

    strips = [strip(name, images, GREY) for name, images in examples.inputs.items()]
    if examples.target is not None:
        strips.append(strip("target", examples.target, GREY, marked=True))
    strips += [strip(role, images, GREY, marked=True) for role, images in examples.outputs.items()]
    for role, images in examples.outputs.items():
        if examples.target is not None:
            strips.append(strip(f"|error| {role}", error_map(images, examples.target), ERROR, bar=True))
    strips += [strip(name, images, WEIGHT, bar=True) for name, images in examples.weights.items()]
    titles = examples.titles or [""] * len(examples)
    return compose(strips, titles)
