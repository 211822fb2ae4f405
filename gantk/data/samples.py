"""Training samples: a slice with its neighbors, or a patch of a volume, and how each is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gantk.data.layout import Layout, Side
from gantk.data.normalisation import BACKGROUND
from gantk.data.prepared import PatientSlices

__all__ = ["Patch", "Row", "Sample", "Slice"]

Row = tuple[str, int]
"""A patient and the row of one of its stored slices."""


class Sample(Protocol):
    """One sample of one subject."""

    @property
    def subject(self) -> str:
        """The sample's subject."""

    @property
    def z(self) -> int:
        """Index of its first slice in the LPS volume."""

    def image(self, side: Side, layout: Layout) -> np.ndarray:
        """A side's channels, float32 (C, *spatial); a modality that the patient lacks is background."""

    def segmentation(self) -> np.ndarray:
        """Canonical labels, uint8 (*spatial)."""

    def categories(self, modality: str) -> np.ndarray:
        """The numbers of a modality that holds categories, int64 (*spatial)."""


@dataclass(frozen=True)
class Slice:
    """A stored slice, with its neighbors as additional channels if the layout includes them."""

    subject: str
    patient: PatientSlices
    row: int

    @property
    def z(self) -> int:
        """Index of the slice in the LPS volume."""
        return int(self.patient.z[self.row])

    def image(self, side: Side, layout: Layout) -> np.ndarray:
        """(C, H, W); at the ends the outermost slice is repeated."""
        reach = layout.depth(side) // 2
        near = np.clip(np.arange(self.row - reach, self.row + reach + 1), 0, len(self.patient) - 1)
        names = layout.names(side)
        have = [name for name in names if name in self.patient.modalities]
        images = self.patient.images(near, have)
        by_name = images.reshape(len(near), len(have), layout.channels, *images.shape[-2:]).swapaxes(0, 1)
        if have != list(names):
            whole = np.full((len(names), *by_name.shape[1:]), BACKGROUND, np.float32)
            whole[[names.index(name) for name in have]] = by_name
            by_name = whole
        return by_name.reshape(-1, *images.shape[-2:])

    def segmentation(self) -> np.ndarray:
        """(H, W)."""
        return self.patient.segmentation([self.row])[0]

    def categories(self, modality: str) -> np.ndarray:
        """(H, W)."""
        return self.patient.categories([self.row], modality)[0]


@dataclass(frozen=True)
class Patch:
    """A box of a patient's stored volume; the part of the box outside the volume is background.

    Attributes:
        corner: (S, H, W) of its first voxel, which may lie outside.
        size: (D, H, W).
    """

    subject: str
    patient: PatientSlices
    corner: tuple[int, int, int]
    size: tuple[int, int, int]

    @classmethod
    def whole(cls, subject: str, patient: PatientSlices) -> Patch:
        """All of a patient's volume."""
        return cls(subject, patient, (0, 0, 0), patient.shape)

    @classmethod
    def around(cls, subject: str, patient: PatientSlices, center: Sequence[int], size: tuple[int, int, int]) -> Patch:
        """The box around a voxel, shifted into the volume; a volume smaller than the box is centered in it."""
        corner = [
            -((d - n) // 2) if n < d else min(max(c - d // 2, 0), n - d)
            for c, d, n in zip(center, size, patient.shape, strict=True)
        ]
        return cls(subject, patient, (corner[0], corner[1], corner[2]), size)

    @property
    def z(self) -> int:
        """Index of its first slice in the LPS volume."""
        return int(self.patient.z[max(self.corner[0], 0)])

    def image(self, side: Side, layout: Layout) -> np.ndarray:
        """(C, D, H, W)."""
        channels = layout.channels
        names = layout.names(side)
        have = [name for name in names if name in self.patient.modalities]
        found = self.patient.images(self._rows, have, self._window).swapaxes(0, 1)
        out = np.full((len(names) * channels, *self.size), BACKGROUND, np.float32)
        places = [names.index(name) * channels + channel for name in have for channel in range(channels)]
        for place, channel in zip(places, found, strict=True):
            out[place][self._place] = channel
        return out

    def segmentation(self) -> np.ndarray:
        """(D, H, W)."""
        return self._placed(self.patient.segmentation(self._rows, self._window), 0)

    def categories(self, modality: str) -> np.ndarray:
        """(D, H, W)."""
        found = self.patient.categories(self._rows, modality, self._window)
        return self._placed(found, round(self.patient.scales[modality].background))

    def _placed(self, found: np.ndarray, fill: int) -> np.ndarray:
        out = np.full(self.size, fill, found.dtype)
        out[self._place] = found
        return out

    @property
    def _inside(self) -> list[slice]:
        """The part of the volume inside the patch, by axis."""
        sides = zip(self.corner, self.size, self.patient.shape, strict=True)
        return [slice(max(c, 0), min(c + d, n)) for c, d, n in sides]

    @property
    def _rows(self) -> np.ndarray:
        return np.arange(self._inside[0].start, self._inside[0].stop)

    @property
    def _window(self) -> tuple[slice, slice]:
        return self._inside[1], self._inside[2]

    @property
    def _place(self) -> tuple[slice, ...]:
        """The place of that part in the patch."""
        return tuple(slice(i.start - c, i.stop - c) for i, c in zip(self._inside, self.corner, strict=True))
