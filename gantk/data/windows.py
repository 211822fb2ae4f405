"""Translation of large images in overlapping windows whose outputs are blended; needs only NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

__all__ = ["Blended", "in_windows"]

OVERLAP = 0.25  # smallest overlap of neighboring windows, as a fraction of a window


def in_windows(network: Callable[[np.ndarray], np.ndarray], images: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """A network's output for images, computed window by window if the images are larger than a window.

    Overlapping outputs are averaged with weights that fall linearly toward a window's edges.

    Args:
        network: (B, C, h, w) float32 to (B, T, h, w).
        images: (B, C, H, W) float32, at least as large as the window.
        window: (h, w).

    Returns:
        (B, T, H, W) float32.
    """
    height, width = window
    if images.shape[-2:] == window:
        return network(images)
    weight = np.multiply.outer(_profile(height), _profile(width))
    total, weights = None, np.zeros(images.shape[-2:], np.float32)
    for top in _starts(images.shape[-2], height):
        for left in _starts(images.shape[-1], width):
            place = np.s_[..., top : top + height, left : left + width]
            output = network(images[place])
            if total is None:
                total = np.zeros((*output.shape[:2], *images.shape[-2:]), np.float32)
            total[place] += weight * output
            weights[place] += weight
    assert total is not None
    return total / weights


def _starts(length: int, window: int) -> list[int]:
    """The starts of windows, evenly spread from one end to the other."""
    steps = -(-(length - window) // max(1, int(window * (1 - OVERLAP))))
    return np.linspace(0, length - window, steps + 1).round().astype(int).tolist()


def _profile(length: int) -> np.ndarray:
    """Weights across a window, above 0 even at its edges."""
    return np.bartlett(length + 2)[1:-1].astype(np.float32)


@dataclass(frozen=True)
class Blended:
    """Translation window by window as configured in a recipe's `[inference]`; results equal MONAI's.

    Attributes:
        size: sides of a window, (h, w) or (d, h, w).
        overlap: overlap of neighboring windows along each axis, as a fraction of a window.
        blend: how overlapping outputs are combined: mean, mean weighted toward each window's center, or median.
        batch: number of windows translated at once.
    """

    size: tuple[int, ...]
    overlap: float
    blend: Literal["gaussian", "constant", "median"]
    batch: int

    def __call__(
        self, network: Callable[[np.ndarray], np.ndarray], images: np.ndarray, fill: float | None
    ) -> np.ndarray:
        """A network's output for images.

        Args:
            network: (B, C, *size) float32 to (B, T, *size).
            images: (B, C, *spatial) float32.
            fill: padding value for images smaller than a window; None repeats the outermost pixels.

        Returns:
            (B, T, *spatial) float32.
        """
        sides = images.shape[2:]
        lacking = [max(0, window - side) for window, side in zip(self.size, sides, strict=True)]
        around = [(0, 0), (0, 0), *((lack // 2, lack - lack // 2) for lack in lacking)]
        if any(lacking):
            images = np.pad(images, around, "edge") if fill is None else np.pad(images, around, constant_values=fill)
        blend = self._median if self.blend == "median" else self._mean
        made = np.stack([blend(network, image) for image in images])
        inner: Any = (..., *(slice(before, before + n) for (before, _), n in zip(around[2:], sides, strict=True)))
        return made[inner]

    def _mean(self, network: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
        weight = self._weight()
        total, weights = np.zeros((0,)), np.zeros(image.shape[1:])
        for place, made in self._made(network, image):
            if not total.size:
                total = np.zeros((len(made), *image.shape[1:]))
            total[(slice(None), *place)] += weight * made
            weights[place] += weight
        return (total / weights).astype(np.float32)

    def _median(self, network: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
        """The median over windows, computed slice by slice because all windows at once need much memory."""
        found = list(self._made(network, image))
        rows = []
        for row in range(image.shape[1]):
            over = [(place, made) for place, made in found if place[0].start <= row < place[0].stop]
            values = np.full((len(over), len(over[0][1]), *image.shape[2:]), np.nan, np.float32)
            for number, (place, made) in enumerate(over):
                inside: Any = (number, slice(None), *place[1:])
                values[inside] = made[:, row - place[0].start]
            rows.append(np.nanmedian(values, axis=0))
        return np.stack(rows, axis=1)

    def _made(
        self, network: Callable[[np.ndarray], np.ndarray], image: np.ndarray
    ) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
        """The network's output for each window, (T, *size), and the window's place."""
        places = list(self._places(image.shape[1:]))
        for first in range(0, len(places), self.batch):
            some = places[first : first + self.batch]
            yield from zip(some, network(np.stack([image[(slice(None), *place)] for place in some])), strict=True)

    def _places(self, sides: Sequence[int]) -> Iterator[tuple[slice, ...]]:
        """All windows of an image at least as large as a window; the last window along an axis is moved inside."""
        starts = []
        for window, side in zip(self.size, sides, strict=True):
            step = max(1, int(window * (1 - self.overlap)))
            count = -(-(side - window) // step) + 1
            starts.append([min(number * step, side - window) for number in range(count)])
        for corner in product(*starts):
            yield tuple(slice(start, start + window) for start, window in zip(corner, self.size, strict=True))

    def _weight(self) -> np.ndarray:
        """The weight of each pixel of a window, (*size)."""
        weight: Any = np.ones(())
        for side in self.size:
            profile = np.ones(side)
            if self.blend == "gaussian":  # σ is an eighth of the side
                profile = np.exp(-((np.arange(side) - (side - 1) / 2) ** 2) / (2 * (side / 8) ** 2))
            weight = np.multiply.outer(weight, profile)
        floor = max(float(weight.min()), 1e-3)
        found: np.ndarray = np.maximum(weight, floor)
        return found
