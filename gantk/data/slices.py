"""Volumes to normalised axial slices at one in-plane spacing, and predicted slices back to the volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gantk.data.normalisation import Normalisation, Scale, fit_scale
from gantk.data.volumes import Volumes
from gantk.errors import DataError

__all__ = ["Plane", "Slices", "brain_of", "centre", "normalised_slices", "slices_of", "volume_of"]


@dataclass(frozen=True)
class Slices:
    """One subject's axial slices: slice k is `volume[:, :, k].T`, rows anterior → posterior.

    Attributes:
        images: modality name -> float32 (Z, H, W).
        foreground: bool (Z, H, W), the brain.
        segmentation: uint8 (Z, H, W) or None.
        scales: modality name -> the map from scanner units to [-1, 1].
    """

    images: dict[str, np.ndarray]
    foreground: np.ndarray
    segmentation: np.ndarray | None
    scales: dict[str, Scale]


@dataclass(frozen=True)
class Plane:
    """The in-plane grid of a volume and the same plane at `spacing`; the two share their centre.

    Attributes:
        native: (H, W) of the volume's axial slices.
        voxel: their pixel size along H and W, mm.
        spacing: pixel size to resample to, mm; None leaves the grid as it is.
    """

    native: tuple[int, int]
    voxel: tuple[float, float]
    spacing: float | None

    @classmethod
    def of(cls, volumes: Volumes, spacing: float | None) -> Plane:
        """The plane of a subject's axial slices."""
        (x, y, _), (dx, dy, _) = volumes.shape, volumes.spacing
        return cls((y, x), (dy, dx), spacing)

    @property
    def factors(self) -> tuple[float, float]:
        """Native pixels per resampled pixel, along H and W."""
        if self.spacing is None:
            return 1.0, 1.0
        h, w = (self.spacing / size for size in self.voxel)
        return (1.0 if abs(h - 1) < 1e-4 else h), (1.0 if abs(w - 1) < 1e-4 else w)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) after resampling."""
        h, w = (max(1, round(n / f)) for n, f in zip(self.native, self.factors, strict=True))
        return h, w

    def resample(self, stack: np.ndarray) -> np.ndarray:
        """Images (..., H, W) to (..., H', W'), float32: linear, averaging where the grid becomes coarser."""
        return _linear(stack, self.shape, self.factors)

    def resample_labels(self, stack: np.ndarray) -> np.ndarray:
        """Labels or masks (..., H, W) to (..., H', W'), same dtype: the nearest pixel's."""
        rows, columns = (
            np.clip(np.floor(_positions(n, m, f) + 0.5), 0, n - 1).astype(int)
            for n, m, f in zip(self.native, self.shape, self.factors, strict=True)
        )
        return stack[..., rows[:, None], columns]

    def restore(self, stack: np.ndarray) -> np.ndarray:
        """Resampled images (..., H', W') back to the native (..., H, W), float32: linear."""
        h, w = self.factors
        return _linear(stack, self.native, (1 / h, 1 / w))


def brain_of(volumes: Volumes, inputs: Sequence[str]) -> np.ndarray:
    """The foreground of skull-stripped images, bool (X, Y, Z): where any input is not 0."""
    return np.logical_or.reduce([volumes.images[name] != 0 for name in inputs])


def slices_of(volumes: Volumes, spacing: float | None) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Axial slices at `spacing` mm: images float32 (Z, H, W) in scanner units, segmentation uint8 or None."""
    plane = Plane.of(volumes, spacing)
    images = {name: plane.resample(_axial(image)) for name, image in volumes.images.items()}
    labels = volumes.segmentation
    return images, None if labels is None else plane.resample_labels(_axial(labels))


def volume_of(stack: np.ndarray, volumes: Volumes, spacing: float | None) -> np.ndarray:
    """`slices_of` undone for one image: (Z, H', W') at `spacing` to float32 (X, Y, Z) on the native grid."""
    return np.ascontiguousarray(_axial(Plane.of(volumes, spacing).restore(stack)))


def normalised_slices(
    volumes: Volumes, inputs: Sequence[str], spacing: float | None, rule: Normalisation = Normalisation()
) -> Slices:
    """Every modality at `spacing` mm, scaled per volume to [-1, 1] inside the brain, exactly -1 outside.

    Raises:
        DataError: an image is empty inside the brain.
    """
    brain = brain_of(volumes, inputs)
    scales = {}
    for name, image in volumes.images.items():
        try:
            scales[name] = fit_scale(image, brain, rule)
        except DataError as error:
            raise DataError(f"{name!r}: {error.what}", why=error.why, mend=error.mend) from None
    images, labels = slices_of(volumes, spacing)
    foreground = Plane.of(volumes, spacing).resample_labels(_axial(brain))
    images = {name: scales[name].apply(image, foreground) for name, image in images.items()}
    return Slices(images, foreground, labels, scales)


def centre(stack: np.ndarray, size: tuple[int, int], fill: float = 0) -> np.ndarray:
    """Crop or pad (..., H, W) about its centre to `size`; the way back puts every pixel in its old place."""
    h, w = stack.shape[-2:]
    (top, to_top, rows), (left, to_left, columns) = _overlap(h, size[0]), _overlap(w, size[1])
    out = np.full((*stack.shape[:-2], *size), fill, stack.dtype)
    out[..., to_top : to_top + rows, to_left : to_left + columns] = stack[..., top : top + rows, left : left + columns]
    return out


def _axial(volume: np.ndarray) -> np.ndarray:
    """(X, Y, Z) to (Z, Y, X), and back."""
    return volume.transpose(2, 1, 0)


def _overlap(n: int, m: int) -> tuple[int, int, int]:
    """Start in n pixels, start in m pixels, and length of what two centred spans share."""
    return (max(n - m, 0) // 2, max(m - n, 0) // 2, min(n, m))


def _positions(n: int, m: int, factor: float) -> np.ndarray:
    """Where m pixels, `factor` old pixels apart, lie among n old pixels with the same centre."""
    return (np.arange(m) - (m - 1) / 2) * factor + (n - 1) / 2


@lru_cache(maxsize=16)
def _weights(n: int, m: int, factor: float) -> np.ndarray:
    """The (m, n) matrix of linear interpolation; its triangles widen with the factor: nothing aliases."""
    positions = np.clip(_positions(n, m, factor), 0, n - 1)
    weights = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(n)) / max(1.0, factor))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _linear(stack: np.ndarray, shape: tuple[int, int], factors: tuple[float, float]) -> np.ndarray:
    h, w = stack.shape[-2:]
    if factors == (1.0, 1.0) and (h, w) == shape:
        return stack.astype(np.float32, copy=False)
    rows, columns = _weights(h, shape[0], factors[0]), _weights(w, shape[1], factors[1])
    return rows @ stack.astype(np.float32, copy=False) @ columns.T
