"""Conversion of a volume to a stack of resampled slices in one plane, and back; crops about the center."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gantk.data.subject import Volumes
    from gantk.recipe.data import Direction

__all__ = ["Plane", "Spacing", "box_of", "centre", "resize"]

Spacing = float | tuple[float, float, float] | None
"""In mm: the pixel size in plane, or the voxel size along z, y and x; None keeps the volume's own."""

#: The axes of an LPS volume along slices, rows and columns, and which of them are reversed in a slice.
_AXES: dict[Direction, tuple[tuple[int, int, int], tuple[int, ...]]] = {
    "axial": ((2, 1, 0), ()),  # from inferior to superior, rows from anterior to posterior
    "coronal": ((1, 2, 0), (1,)),  # from anterior to posterior, rows from superior to inferior
    "sagittal": ((0, 2, 1), (1,)),  # from right to left, rows from superior to inferior
}


@dataclass(frozen=True)
class Plane:
    """The grid of a volume's slices and the resampled grid, which has the same center.

    Attributes:
        native: (S, H, W), slices, rows and columns of the volume.
        voxel: the voxel size along these axes, mm.
        spacing: the voxel size after resampling, mm; None leaves an axis unchanged.
        direction: the orientation of the slices.
    """

    native: tuple[int, int, int]
    voxel: tuple[float, float, float]
    spacing: tuple[float | None, float | None, float | None]
    direction: Direction = "axial"

    @classmethod
    def of(cls, volumes: Volumes, spacing: Spacing, direction: Direction = "axial") -> Plane:
        """The slices of a subject's volumes."""
        axes = _AXES[direction][0]
        if isinstance(spacing, tuple):
            asked: tuple[float | None, ...] = tuple(spacing[2 - axis] for axis in axes)
        else:
            asked = (None, spacing, spacing)
        s, h, w = axes
        shape, voxel = volumes.shape, volumes.spacing
        return cls(
            (shape[s], shape[h], shape[w]), (voxel[s], voxel[h], voxel[w]), (asked[0], asked[1], asked[2]), direction
        )

    @property
    def factors(self) -> tuple[float, float, float]:
        """Native voxels per resampled one, along slices, rows and columns."""
        s, h, w = (
            1.0 if wanted is None or abs(wanted / size - 1) < 1e-4 else wanted / size
            for wanted, size in zip(self.spacing, self.voxel, strict=True)
        )
        return s, h, w

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, H, W) after resampling."""
        s, h, w = (max(1, round(n / f)) for n, f in zip(self.native, self.factors, strict=True))
        return s, h, w

    @property
    def pixel(self) -> float:
        """The area of a pixel after resampling, mm²."""
        _, h, w = (size if wanted is None else wanted for wanted, size in zip(self.spacing, self.voxel, strict=True))
        return h * w

    def stack(self, volume: np.ndarray) -> np.ndarray:
        """A volume (X, Y, Z) as its slices (S, H, W), a view."""
        axes, flipped = _AXES[self.direction]
        return np.flip(volume.transpose(axes), flipped)

    def volume(self, stack: np.ndarray) -> np.ndarray:
        """The slices (S, H, W) as a volume (X, Y, Z)."""
        axes, flipped = _AXES[self.direction]
        back = np.argsort(axes).tolist()
        return np.ascontiguousarray(np.flip(stack, flipped).transpose(back))

    def resample(self, stack: np.ndarray) -> np.ndarray:
        """Images (S, H, W) to (S', H', W'), float32: linear, averaging where the grid becomes coarser."""
        return _linear(stack, self.shape, self.factors)

    def resample_labels(self, stack: np.ndarray) -> np.ndarray:
        """Labels or masks (S, H, W) to (S', H', W'), same dtype, by nearest voxel."""
        places = (_nearest(n, m, f) for n, m, f in zip(self.native, self.shape, self.factors, strict=True))
        return stack[np.ix_(*places)]

    def restore(self, stack: np.ndarray) -> np.ndarray:
        """Resampled images (S', H', W') back to the native (S, H, W), float32: linear."""
        s, h, w = self.factors
        return _linear(stack, self.native, (1 / s, 1 / h, 1 / w))


def resize(stack: np.ndarray, size: tuple[int, int], nearest: bool = False) -> np.ndarray:
    """Images (..., H, W) to `size`, float32: linear, averaging where the grid becomes coarser, or nearest."""
    h, w = stack.shape[-2:]
    if nearest:
        rows, columns = (_nearest(n, m, n / m) for n, m in zip((h, w), size, strict=True))
        return stack[..., rows[:, None], columns].astype(np.float32, copy=False)
    return _linear(stack, size, (h / size[0], w / size[1]))


def centre(stack: np.ndarray, size: tuple[int, int], fill: float | None = 0) -> np.ndarray:
    """Crop or pad (..., H, W) about its center to `size`; the reverse call restores every pixel's place.

    Without a fill value, the outermost pixels are repeated.
    """
    h, w = stack.shape[-2:]
    (top, to_top, rows), (left, to_left, columns) = _overlap(h, size[0]), _overlap(w, size[1])
    if fill is None:
        near = np.clip(np.arange(size[0]) + top - to_top, 0, h - 1)
        return stack[..., near[:, None], np.clip(np.arange(size[1]) + left - to_left, 0, w - 1)]
    out = np.full((*stack.shape[:-2], *size), fill, stack.dtype)
    out[..., to_top : to_top + rows, to_left : to_left + columns] = stack[..., top : top + rows, left : left + columns]
    return out


def box_of(foreground: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest box around the foreground of a stack, bool (S, H, W), which must not be empty."""
    others = ((1, 2), (0, 2), (0, 1))
    s, h, w = (np.flatnonzero(foreground.any(axis=axes)) for axes in others)
    return slice(int(s[0]), int(s[-1]) + 1), slice(int(h[0]), int(h[-1]) + 1), slice(int(w[0]), int(w[-1]) + 1)


def _overlap(n: int, m: int) -> tuple[int, int, int]:
    """Start in n pixels, start in m pixels, and length of the overlap of two centered spans."""
    return (max(n - m, 0) // 2, max(m - n, 0) // 2, min(n, m))


def _positions(n: int, m: int, factor: float) -> np.ndarray:
    """The positions of m pixels, `factor` old pixels apart, among n old pixels with the same center."""
    return (np.arange(m) - (m - 1) / 2) * factor + (n - 1) / 2


def _nearest(n: int, m: int, factor: float) -> np.ndarray:
    """The old pixel nearest to each of the m pixels."""
    return np.clip(np.floor(_positions(n, m, factor) + 0.5), 0, n - 1).astype(int)


@lru_cache(maxsize=16)
def _weights(n: int, m: int, factor: float) -> np.ndarray:
    """The (m, n) matrix of linear interpolation; its triangles widen with the factor, which prevents aliasing."""
    positions = np.clip(_positions(n, m, factor), 0, n - 1)
    weights = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(n)) / max(1.0, factor))
    return weights / weights.sum(1, keepdims=True)


def _linear(stack: np.ndarray, shape: Sequence[int], factors: Sequence[float]) -> np.ndarray:
    """Resample the last axes of a stack to a shape; the first of three axes is unchanged if its factor is 1."""
    *depth, h, w = stack.shape[-len(shape) :]
    if all(factor == 1.0 for factor in factors) and (*depth, h, w) == tuple(shape):
        return stack.astype(np.float32, copy=False)
    rows, columns = _weights(h, shape[-2], factors[-2]), _weights(w, shape[-1], factors[-1])
    # double precision: its last bits differ between machines too, but far below the stored precision
    made = rows @ stack.astype(np.float64) @ columns.T
    if depth and (factors[0] != 1.0 or depth[0] != shape[0]):
        made = np.tensordot(_weights(depth[0], shape[0], factors[0]), made, 1)
    return made.astype(np.float32)
