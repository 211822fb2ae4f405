"""A picture of the phantom: `python tests/bench/draw_phantom.py docs/images/phantom.png [SPACING]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gantk.labels import CORE, EDEMA, ENHANCING, REGIONS
from gantk.phantom.anatomy import load_atlas
from gantk.phantom.subject import MODALITIES, Scan, scan

__all__ = ["draw", "row"]

COLOURS = {CORE: (214, 69, 65), EDEMA: (90, 160, 90), ENHANCING: (245, 205, 70)}
"""Of the labels: core red, edema green, enhancing tumor yellow."""


def row(result: Scan, height: int = 200, width: int = 156) -> np.ndarray:
    """One subject's axial slice with the largest tumor core: T1, T2, FLAIR, T1ce, labels on FLAIR.

    Each image's window runs from 0 to its 98.5th percentile; front is up, the patient's right on the left.

    Returns:
        (height, 5 · width, 3) uint8, one pixel for each voxel.
    """
    labels = result.labels
    slices = np.isin(labels, REGIONS["tc"]).sum((0, 1)) + 0.1 * (labels > 0).sum((0, 1))
    k = int(np.argmax(slices))
    brain = result.images["t1"][:, :, k].T > 0
    tiles = {}
    for name in MODALITIES:
        volume = result.images[name]
        level = np.percentile(volume[volume > 0], 98.5)
        grey = np.clip(volume[:, :, k].T / level * 255, 0, 255)
        grey = np.rint(grey / 8) * 8 * (255 / 256)  # few gray levels: a small file
        tiles[name] = np.repeat(grey.astype(np.uint8)[:, :, None], 3, 2)
    painted = tiles["flair"] // 2
    for label, colour in COLOURS.items():
        painted[label == labels[:, :, k].T] = colour
    centre = [(int(i.min()) + int(i.max()) + 1) // 2 for i in np.nonzero(brain)]
    return np.concatenate([_window(t, centre, (height, width)) for t in (*tiles.values(), painted)], axis=1)


def _window(image: np.ndarray, centre: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    padded = np.pad(image, [(size[0], size[0]), (size[1], size[1]), (0, 0)])
    top, left = (c + s - s // 2 for c, s in zip(centre, size, strict=True))
    return padded[top : top + size[0], left : left + size[1]]


def draw(path: Path, subjects: Sequence[int] = (6, 14, 16, 11), spacing: float = 1.0, seed: int = 0) -> None:
    """Write a PNG with a row for each subject of the cohort `seed`."""
    from matplotlib.image import imsave

    atlas = load_atlas()
    size = int(200 / spacing), int(156 / spacing)
    rows = [row(scan(seed, k, spacing, atlas), *size) for k in subjects]
    imsave(path, np.concatenate(rows))


if __name__ == "__main__":
    draw(Path(sys.argv[1]), spacing=float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
