"""The voxel grid of a phantom: one box in MNI space for all subjects, sampled at any spacing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["BOX", "Axes", "Grid"]

BOX = ((-84.0, 84.0), (-120.0, 88.0), (-76.0, 92.0))
"""The field of view in MNI space, mm: left to right, posterior to anterior, inferior to superior."""

Axes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Voxel centers along x, y, z in mm, each (n,) float32 and evenly spaced."""


@dataclass(frozen=True)
class Grid:
    """Voxel centers on a rectangular lattice, RAS: x to the right, y to the front, z upwards (mm)."""

    axes: Axes

    @classmethod
    def over_box(cls, spacing: float) -> Grid:
        """The whole field of view with isotropic voxels of `spacing` mm."""
        return cls(_axes(BOX, spacing))

    @classmethod
    def around(cls, centre: np.ndarray, half: float, spacing: float) -> Grid:
        """A cube of half-width `half` mm about `centre` (3,) mm, clipped to the field of view."""
        sides = ((max(lo, c - half), min(hi, c + half)) for (lo, hi), c in zip(BOX, centre, strict=True))
        return cls(_axes(tuple(sides), spacing))

    def window(self, low: np.ndarray, high: np.ndarray) -> tuple[Grid, tuple[slice, slice, slice]]:
        """The part of this grid between two corners (3,) mm, and its slices in this grid's arrays."""
        parts = []
        for axis, lo, hi in zip(self.axes, low, high, strict=True):
            first, last = np.searchsorted(axis, (lo - 1e-3, hi + 1e-3))
            parts.append(slice(int(first), int(last)))
        x, y, z = (axis[part] for axis, part in zip(self.axes, parts, strict=True))
        return Grid((x, y, z)), (parts[0], parts[1], parts[2])

    @property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last voxel's center, (3,) mm each."""
        return np.array([a[0] for a in self.axes]), np.array([a[-1] for a in self.axes])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        x, y, z = self.axes
        return len(x), len(y), len(z)

    @property
    def spacing(self) -> float:
        """Voxel size, mm."""
        return float(self.axes[0][1] - self.axes[0][0])

    def open(self) -> list[np.ndarray]:
        """The axes shaped (X, 1, 1), (1, Y, 1), (1, 1, Z), to broadcast against volumes."""
        x, y, z = self.axes
        return [x[:, None, None], y[None, :, None], z[None, None, :]]

    def indices_of(self, other: Grid) -> list[np.ndarray]:
        """`other`'s axes in (fractional) voxel indices of this grid."""
        return [(b - a[0]) / (a[1] - a[0]) for a, b in zip(self.axes, other.axes, strict=True)]


def _axes(box: tuple[tuple[float, float], ...], spacing: float) -> Axes:
    x, y, z = (
        (lo + spacing * (0.5 + np.arange(max(2, int((hi - lo) / spacing + 1e-6))))).astype(np.float32) for lo, hi in box
    )
    return x, y, z
