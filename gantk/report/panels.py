"""The panel of a validation: one row per slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from gantk.evaluation.examples import Examples
from gantk.files import atomic_write
from gantk.report.tiles import ERROR, GREY, WEIGHT, Strip, Window, compose, enlarge, error_map

__all__ = ["draw_images", "draw_panel", "save_panel"]


def draw_panel(examples: Examples) -> np.ndarray:
    """Inputs | target | outputs | |error| per output | weight maps, one row per slice.

    Windows are fixed (images [-1, 1], errors [0, 0.3] of an image in [0, 1], weights [0, 1.5]), so that panels of
    different steps and runs are comparable.

    Args:
        examples: N slices; without a target there are no errors.

    Returns:
        (height, width, 3) uint8.
    """

    def strip(title: str, images: np.ndarray, window: Window) -> Strip:
        return Strip(title, [window.paint(enlarge(image)) for image in images], None if window is GREY else window)

    strips = [strip(name, images, GREY) for name, images in examples.inputs.items()]
    if examples.target is not None:
        strips.append(strip("target", examples.target, GREY))
    strips += [strip(role, images, GREY) for role, images in examples.outputs.items()]
    for role, images in examples.outputs.items():
        if examples.target is not None:
            strips.append(strip(f"|error| {role}", error_map(images, examples.target), ERROR))
    strips += [strip(name, images, WEIGHT) for name, images in examples.weights.items()]
    titles = examples.titles or [""] * len(examples)
    return compose(strips, titles)


def draw_images(name: str, images: np.ndarray) -> np.ndarray:
    """Images (B, C, H, W), 0 black and 1 white, one row for each and a column for each channel.

    Returns:
        (height, width, 3) uint8.
    """
    window = Window(0.0, 1.0, "gray")
    titles = [name, *(str(number) for number in range(2, images.shape[1] + 1))]
    planes = zip(titles, images.swapaxes(0, 1), strict=True)
    strips = [Strip(title, [window.paint(enlarge(image)) for image in plane]) for title, plane in planes]
    return compose(strips, [""] * len(images))


def save_panel(folder: Path, step: int, panel: np.ndarray) -> None:
    """Write a picture (H, W, 3) uint8 of a step; atomic."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / f"step-{step:08d}.png") as temporary:
        Image.fromarray(panel).save(temporary, format="PNG")
