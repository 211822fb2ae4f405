"""What one training sample is: a slice with its neighbors, or a patch of a volume; how it is drawn and read.

Drawing is in two parts. A `Sampling` sorts what can be drawn into `Pools`, which the loader goes through in its order.
What it takes from a pool becomes a `Sample`, which reads its images; a patch's place within the patient is drawn then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np

from gantk.data.layout import Layout, Side
from gantk.data.normalisation import BACKGROUND
from gantk.data.prepared import PatientSlices
from gantk.labels import REGIONS

__all__ = ["Patch", "Patches", "Pools", "Row", "Sample", "Sampling", "Slice", "WholeSlices"]

Row = tuple[str, int]
"""A patient and one of the stored slices."""
T = TypeVar("T")
Patient = Callable[[str], PatientSlices]
Chosen = Literal["tumour", "all"]


class Sample(Protocol):
    """One sample of one subject."""

    @property
    def subject(self) -> str:
        """Whose it is."""

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
    """A stored slice, with its neighbors as further channels where the layout wants them."""

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
        """The box about a voxel, moved inside the volume; where that is smaller, the volume is in the box's middle."""
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


@dataclass(frozen=True)
class Pools(Generic[T]):
    """What can be drawn, in two classes that are interleaved: `fraction` of the draws are of the tumor core."""

    core: tuple[T, ...]
    other: tuple[T, ...]
    fraction: float

    @classmethod
    def of(cls, core: Sequence[T], other: Sequence[T], fraction: float | None) -> Pools[T]:
        """The pools; without a fraction there is one class."""
        if fraction is None:
            return cls((), (*core, *other), 0.0)
        if not core or not other:  # one class stands for both
            fraction = 1.0 if core else 0.0
        return cls(tuple(core), tuple(other), fraction)

    def draws(self, passes: int = 1) -> int:
        """Draws until all of both classes were drawn this many times; the smaller class starts over meanwhile."""
        core = ceil(passes * len(self.core) / self.fraction) if self.fraction > 0 else 0
        other = ceil(passes * len(self.other) / (1 - self.fraction)) if self.fraction < 1 else 0
        return max(core, other)

    def place(self, draw: int) -> tuple[int, int]:
        """The class (0 core, 1 other) of a draw and how many of its class came before."""
        before, after = int(draw * self.fraction + 1e-9), int((draw + 1) * self.fraction + 1e-9)
        return (0, before) if after > before else (1, draw - before)


class Sampling(Protocol[T]):
    """What samples are drawn from, and how."""

    @property
    def passes(self) -> int:
        """How many times everything that can be drawn is drawn in an epoch."""

    def pools(self, subjects: Sequence[str], patient: Patient, chosen: Chosen, fraction: float | None) -> Pools[T]:
        """What can be drawn of these subjects."""

    def sample(self, drawn: T, patient: Patient, random: Callable[[int], np.ndarray]) -> Sample:
        """The sample of a draw; `random(n)` gives n uniform numbers that depend on the draw alone."""


class WholeSlices:
    """Samples are slices."""

    passes = 1

    def pools(self, subjects: Sequence[str], patient: Patient, chosen: Chosen, fraction: float | None) -> Pools[Row]:
        """Slices with tumor core, and others."""
        core: list[Row] = []
        other: list[Row] = []
        for subject in subjects:
            slices = patient(subject)
            rows = range(len(slices)) if chosen == "all" else np.flatnonzero(slices.tumour).tolist()
            for row in rows:
                (core if slices.core[row] else other).append((subject, row))
        return Pools.of(core, other, fraction)

    def sample(self, drawn: Row, patient: Patient, random: Callable[[int], np.ndarray]) -> Slice:
        """The slice."""
        subject, row = drawn
        return Slice(subject, patient(subject), row)


Tissue = Literal["core", "rim", "tumour", "rest", "foreground"]
"""Where a patch's center lies: tumor core, tumor without it, all tumor, all but the core, anywhere in the body."""


@dataclass(frozen=True)
class Patches:
    """Samples are patches of volumes, drawn about a voxel of the class that the draw is of.

    A draw takes a patient; in a pass over the patients each comes once. Within the patient every voxel of the class is
    as likely as any other: first a slice is drawn, weighted by its number of such voxels, then one of these voxels.

    Attributes:
        size: (D, H, W).
        passes: patches of each patient in an epoch.
    """

    size: tuple[int, int, int]
    passes: int = 1

    def pools(
        self, subjects: Sequence[str], patient: Patient, chosen: Chosen, fraction: float | None
    ) -> Pools[tuple[str, Tissue]]:
        """Patients with tumor core, and with tissue beside it."""
        others: dict[Chosen, tuple[Tissue, Tissue]] = {"tumour": ("tumour", "rim"), "all": ("foreground", "rest")}
        anywhere, beside = others[chosen]

        def having(tissue: Tissue) -> list[tuple[str, Tissue]]:
            return [(subject, tissue) for subject in subjects if _area(patient(subject), tissue).any()]

        return (
            Pools.of([], having(anywhere), None)
            if fraction is None
            else Pools.of(having("core"), having(beside), fraction)
        )

    def sample(self, drawn: tuple[str, Tissue], patient: Patient, random: Callable[[int], np.ndarray]) -> Patch:
        """A patch about a voxel that the numbers choose."""
        subject, tissue = drawn
        slices = patient(subject)
        in_stack, in_slice = random(2)
        reached = np.cumsum(_area(slices, tissue))
        row = int(np.searchsorted(reached, in_stack * reached[-1], "right"))
        places = np.argwhere(_mask(slices, tissue, row))
        y, x = places[int(in_slice * len(places))].tolist()
        return Patch.around(subject, slices, (row, y, x), self.size)


def _area(slices: PatientSlices, tissue: Tissue) -> np.ndarray:
    """Pixels of a tissue in each slice, (S,)."""
    match tissue:
        case "core":
            return slices.core_area
        case "rim":
            return slices.tumour_area - slices.core_area
        case "tumour":
            return slices.tumour_area
        case "rest":
            return np.maximum(slices.brain_area - slices.core_area, 0)
        case _:
            return slices.brain_area


def _mask(slices: PatientSlices, tissue: Tissue, row: int) -> np.ndarray:
    """The tissue in a slice, bool (H, W)."""
    if tissue == "foreground":
        return slices.foreground(row)
    labels = slices.segmentation([row])[0]
    core = np.isin(labels, REGIONS["tc"])
    match tissue:
        case "core":
            return core
        case "rim":
            return (labels > 0) & ~core
        case "tumour":
            return labels > 0
        case _:
            return slices.foreground(row) & ~core
