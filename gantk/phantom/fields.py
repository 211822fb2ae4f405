"""Smooth random fields, the same function of space at every voxel size."""

from __future__ import annotations

import zlib

import numpy as np

from gantk.phantom.grid import BOX, Grid

__all__ = ["resample", "smooth_field", "stream"]

_SPLINE_STD = (151 / 315) ** 1.5  # std of a 3D cubic B-spline over unit white noise, averaged over positions


def stream(seed: int, subject: int, purpose: str) -> np.random.Generator:
    """A separate random stream for each purpose, so that a change in one part does not affect the others."""
    return np.random.default_rng([seed, subject, zlib.crc32(purpose.encode())])


def smooth_field(rng: np.random.Generator, grid: Grid, scale: float) -> np.ndarray:
    """A Gaussian random field of mean 0 and standard deviation 1 whose features are about `scale` mm wide.

    White noise on a lattice of `scale` mm that is fixed in space, interpolated with cubic B-splines, so that a field
    does not depend on the grid on which it is sampled.

    Returns:
        (X, Y, Z) float32.
    """
    knots = [int(np.ceil((hi - lo) / scale)) + 4 for lo, hi in BOX]
    values = rng.standard_normal(knots, dtype=np.float32) / np.float32(_SPLINE_STD)
    for axis in (2, 1, 0):  # the contiguous axis last, where the array is largest
        values = _interpolate(values, (grid.axes[axis] - BOX[axis][0]) / scale, axis)
    return values


def _interpolate(values: np.ndarray, position: np.ndarray, axis: int) -> np.ndarray:
    first = np.clip(np.floor(position).astype(int), 0, values.shape[axis] - 4)
    t = (position - first).astype(np.float32)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    shape = [-1 if a == axis else 1 for a in range(3)]
    out = values.take(first, axis) * (weights[0] / 6).reshape(shape)
    for k in (1, 2, 3):
        out += values.take(first + k, axis) * (weights[k] / 6).reshape(shape)
    return out


def resample(values: np.ndarray, source: Grid, target: Grid, outside: float) -> np.ndarray:
    """Resample `values` (X, Y, Z) from one grid to another, float32, trilinear; `outside` beyond the source grid."""
    near, where = target.window(*source.corners)
    for axis, position in enumerate(source.indices_of(near)):
        first = np.clip(np.floor(position).astype(int), 0, values.shape[axis] - 2)
        t = (position - first).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        values = values.take(first, axis) * (1 - t) + values.take(first + 1, axis) * t
    out = np.full(target.shape, outside, np.float32)
    out[where] = values
    return out
