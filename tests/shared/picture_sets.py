"""Small sets of pictures in every layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gantk.data.pixels import write_pixels

RNG = np.random.default_rng(0)


def noise(height: int = 8, width: int = 12, dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    """(H, W, 3) or (H, W) over the whole range, black and white among them."""
    shape = (height, width, channels)[: 2 + (channels == 3)]
    pixels = RNG.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    pixels[0, 0], pixels[-1, -1] = 0, np.iinfo(dtype).max
    return pixels


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pixels(path, pixels)
    return path


def shapes(side: str, number: int, size: int = 32) -> np.ndarray:
    """A coloured disc in front of a gradient; side b has the colours turned round."""
    y, x = np.mgrid[:size, :size] / size
    disc = np.hypot(y - 0.3 - 0.05 * (number % 8), x - 0.5) < 0.25
    pixels = np.where(disc[..., None], [230, 40, 40], np.stack([60 * y, 120 * x, 90 + 60 * y], -1))
    return (pixels if side == "a" else 255 - pixels).astype(np.uint8)


def halves(root: Path, count: tuple[int, int, int] = (4, 2, 2)) -> Path:
    for part, number in zip(("train", "val", "test"), count, strict=True):
        for n in range(number):
            save(root / part / f"{n}.png", np.concatenate([shapes("a", n), shapes("b", n)], axis=1))
    return root


def unaligned(root: Path, train: int = 5, test: int = 2) -> Path:
    for part, number in (("train", train), ("test", test)):
        for n in range(number):
            save(root / f"{part}A" / f"a{n}.png", shapes("a", n))
            save(root / f"{part}B" / f"b{n}.png", shapes("b", n + 3))
    return root


def scans(root: Path) -> Path:
    """Grey pictures and CT in Hounsfield units."""
    for part, number in (("train", 2), ("val", 1), ("test", 1)):
        for n in range(number):
            grey = shapes("a", n)[..., 0]
            save(root / part / "a" / f"{n}.png", grey)
            save(root / part / "b" / f"{n}.tif", grey.astype(np.int16) * 8 - 1000)
    return root
