"""Picture files of noise, and their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gantk.data.pixels import read_pixels

RNG = np.random.default_rng(0)

HEIGHT, WIDTH = 19, 23  # odd, more than one strip or tile of 16


def noise(dtype: Any = np.uint8, channels: int = 3, greatest: int | None = None) -> np.ndarray:
    """(H, W, C) over the whole range, its ends among them."""
    greatest = np.iinfo(dtype).max if greatest is None else greatest
    pixels = RNG.integers(0, greatest, (HEIGHT, WIDTH, channels), endpoint=True).astype(dtype)
    pixels[0, 0], pixels[-1, -1] = 0, greatest
    return pixels


def values(path: Path, mode: str = "rgb") -> np.ndarray:
    return read_pixels(path, mode).values


def grey(path: Path) -> np.ndarray:
    return values(path, "grey")[..., 0]
