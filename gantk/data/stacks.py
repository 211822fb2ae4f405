"""A subject's slices as inputs of a generator, and their translation by any network; needs only NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gantk.data.normalisation import BACKGROUND
from gantk.data.planes import box_of, centre
from gantk.data.slices import Slices
from gantk.data.windows import in_windows

__all__ = ["Fitting", "Network", "own_size", "shown", "stacked", "through"]

WINDOW = 1024  # largest side of an image that a generator receives at once, pixels

Network = Callable[[np.ndarray], np.ndarray]
"""(B, C, h, w) float32 to (B, T, h, w)."""
Fitting = Callable[[tuple[int, int]], tuple[int, int] | None]
"""The smallest (height, width) that a network accepts and that is no smaller than the given one; None if none."""


def stacked(slices: Slices, takes: Sequence[str], channels: int, reach: int) -> np.ndarray:
    """The input of a generator, (Z, C, H, W); a missing modality is background.

    Args:
        slices: a subject's slices.
        takes: the modalities in the order of their channels.
        channels: channels of one image.
        reach: number of neighboring slices on either side; at the ends the last slice with foreground is repeated.
    """
    shape = (len(slices.foreground), channels, *slices.foreground.shape[1:])
    full = _full(slices)
    planes = []
    for name in takes:
        image = slices.images[name].reshape(shape) if name in slices.images else np.full(shape, BACKGROUND, np.float32)
        for step in range(-reach, reach + 1):
            near = image.copy()
            near[full] = image[full[np.clip(np.arange(len(full)) + step, 0, len(full) - 1)]]
            planes.append(near)
    return np.concatenate(planes, axis=1)


def shown(stack: np.ndarray, foreground: np.ndarray, *, volume: bool) -> list[np.ndarray]:
    """The parts of a subject that are translated in windows, as writable views of a stack.

    Args:
        stack: (Z, C, H, W).
        foreground: (Z, H, W) bool.
        volume: whether the slices are one volume.

    Returns:
        The box around the foreground of a volume, (1, C, *spatial); else each slice with foreground, (1, C, H, W).
    """
    if volume:
        return [stack.swapaxes(0, 1)[(None, slice(None), *box_of(foreground))]]
    return [stack[row : row + 1] for row in np.flatnonzero(foreground.any(axis=(1, 2)))]


def through(
    network: Network,
    images: np.ndarray,
    slices: Slices,
    place: slice,
    *,
    crop: tuple[int, int],
    fitting: Fitting,
    batch: int,
    advance: Callable[[int], None] = lambda n: None,
) -> np.ndarray:
    """Run slices (Z, C, H, W) through a network, padded to a size that it accepts; empty slices are skipped.

    Args:
        network: returns all output images of its translator.
        images: the result of `stacked`.
        slices: slices of the same subject; scans, whose pixels have a physical size, are padded with background.
        place: the output channels to keep.
        crop: (H, W) in training.
        fitting: finds a size that the network accepts.
        batch: number of slices translated at once.
        advance: called with the number of slices done.

    Returns:
        (Z, T, H, W) float32 in [-1, 1].
    """
    height, width = images.shape[-2:]
    fill = BACKGROUND if slices.pixel is not None else None
    # scans are padded at least to the size in training, with background
    least = (height, width) if fill is None else (max(height, crop[0]), max(width, crop[1]))
    window = fitting(_within(least)) or crop
    padded = max(least[0], window[0]), max(least[1], window[1])
    result = np.full((len(images), place.stop - place.start, height, width), BACKGROUND, np.float32)
    full = _full(slices)
    for first in range(0, len(full), batch):
        rows = full[first : first + batch]
        output = in_windows(network, centre(images[rows], padded, fill), window)
        result[rows] = centre(output[:, place], (height, width))
        advance(len(rows))
    return result


def own_size(read: Any, asked: tuple[int, int] | None, crop: tuple[int, int], fitting: Fitting) -> tuple[Any, str]:
    """A picture resized for translation, and a remark about the size.

    Args:
        read: a `Readable` with `own_size` and `sized`.
        asked: (H, W) that the user requests; default: the picture's own, enlarged if it is smaller than the crop.
        crop: (H, W) in training.
        fitting: finds a size that the network accepts.
    """
    trained = (read.size or crop)[:2]
    size = asked
    if size is None:
        grown = max(1.0, *(t / n for t, n in zip(crop, read.own_size, strict=True)))
        size = (round(grown * read.own_size[0]), round(grown * read.own_size[1]))
    if fitting(_within(size)) is None:
        told = f"The generator accepts {crop[0]} × {crop[1]} pixels only; its output is enlarged"
        return read.sized(crop), told if size != crop else ""
    told = f"Pictures are translated at their own size; training used {trained[0]} × {trained[1]} pixels"
    return read.sized(size), told if size == read.own_size != trained else ""


def _full(slices: Slices) -> np.ndarray:
    """The slices with any foreground."""
    return np.flatnonzero(slices.foreground.any(axis=(1, 2)))


def _within(size: tuple[int, int]) -> tuple[int, int]:
    """The part of an image that is translated at once."""
    return min(size[0], WINDOW), min(size[1], WINDOW)
