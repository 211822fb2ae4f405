"""Whether two images of a patient are aligned, judged by their edges, which all sequences share."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["displacement", "is_mirrored"]

_VOXELS = 64  # voxels along an axis, at most, of the compared grids
_GAIN = 1.1  # how much better a moved image must fit
_OPPOSED = -0.15  # correlation of the asymmetric parts of both images


def displacement(one: np.ndarray, other: np.ndarray, spacing: np.ndarray) -> float:
    """The displacement of the other image, mm, that best aligns its edges with the first image's; 0 if aligned already.

    Args:
        one: (X, Y, Z), any unit.
        other: the same grid.
        spacing: voxel size, mm.
    """
    edges, step = _edges(one)
    others, _ = _edges(other)
    fit = np.fft.irfftn(np.fft.rfftn(edges) * np.conj(np.fft.rfftn(others)), edges.shape)
    best = np.unravel_index(int(fit.argmax()), fit.shape)
    if fit[best] < _GAIN * fit[0, 0, 0]:
        return 0.0
    moved = [(n + size // 2) % size - size // 2 for n, size in zip(best, fit.shape, strict=True)]
    return float(np.linalg.norm(np.array(moved) * step * spacing))


def is_mirrored(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the asymmetric structures of one image lie on the opposite side in the other.

    Args:
        one: (X, Y, Z), left to right along X.
        other: the same grid.
    """
    first, second = (edges - edges[::-1] for edges in (_edges(one)[0], _edges(other)[0]))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return norm > 0 and float((first * second).sum()) / norm < _OPPOSED


def _edges(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient magnitude on a coarser grid, minus its mean, and the steps of that grid in voxels."""
    step = np.array([max(1, -(-n // _VOXELS)) for n in volume.shape])
    low, high = np.percentile(volume, (0.5, 99.5))
    smooth = ndimage.uniform_filter(np.clip(volume, low, high), size=tuple(step))
    coarse = smooth[tuple(slice(s // 2, None, s) for s in step)]
    edges = ndimage.gaussian_gradient_magnitude(coarse, 0.7)
    return edges - edges.mean(), step
