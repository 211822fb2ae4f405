"""The pools from which training samples are drawn, and the drawing.

A `Sampling` sorts the candidates into `Pools`, which the loader goes through in its order. Each candidate that it
draws becomes a `Sample`; a patch's place within the patient is drawn at that point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np

from gantk.data.prepared import PatientSlices
from gantk.data.samples import Patch, Row, Sample, Slice
from gantk.labels import REGIONS

__all__ = ["Chosen", "Patches", "PatchesBySlice", "Pools", "Sampling", "WholeSlices"]

T = TypeVar("T")
Patient = Callable[[str], PatientSlices]
Chosen = Literal["tumour", "all"]


@dataclass(frozen=True)
class Pools(Generic[T]):
    """The candidates in two interleaved classes: `fraction` of the draws come from the tumor core."""

    core: tuple[T, ...]
    other: tuple[T, ...]
    fraction: float

    @classmethod
    def of(cls, core: Sequence[T], other: Sequence[T], fraction: float | None) -> Pools[T]:
        """The pools; without a fraction there is a single class."""
        if fraction is None:
            return cls((), (*core, *other), 0.0)
        if not core or not other:  # one class stands for both
            fraction = 1.0 if core else 0.0
        return cls(tuple(core), tuple(other), fraction)

    def draws(self, passes: int = 1) -> int:
        """Number of draws until both classes were drawn completely this many times; the smaller class starts over."""
        core = ceil(passes * len(self.core) / self.fraction) if self.fraction > 0 else 0
        other = ceil(passes * len(self.other) / (1 - self.fraction)) if self.fraction < 1 else 0
        return max(core, other)

    def place(self, draw: int) -> tuple[int, int]:
        """The class (0 core, 1 other) of a draw and the number of earlier draws from that class."""
        before, after = int(draw * self.fraction + 1e-9), int((draw + 1) * self.fraction + 1e-9)
        return (0, before) if after > before else (1, draw - before)


class Sampling(Protocol[T]):
    """The way in which samples are drawn."""

    def draws(self, pools: Pools[T]) -> int:
        """Number of draws in an epoch."""

    def pools(self, subjects: Sequence[str], patient: Patient, chosen: Chosen, fraction: float | None) -> Pools[T]:
        """The candidates among these subjects."""

    def sample(self, drawn: T, patient: Patient, random: Callable[[int], np.ndarray]) -> Sample:
        """The sample of a draw; `random(n)` gives n uniform numbers that depend on the draw alone."""


class WholeSlices:
    """Samples are slices."""

    def draws(self, pools: Pools[Row]) -> int:
        """The number of draws in an epoch: each slice once."""
        return pools.draws()

    def told(self, drawn: Row, patient: Patient) -> Row:
        """The key of a slice in the ratings of terms: the subject and the index in its LPS volume."""
        subject, row = drawn
        return subject, int(patient(subject).z[row])

    def pools(self, subjects: Sequence[str], patient: Patient, chosen: Chosen, fraction: float | None) -> Pools[Row]:
        """Slices with tumor core, and all others."""
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
"""The tissue at a patch's center: core, tumor except core, all tumor, body except core, or anywhere in the body."""


@dataclass(frozen=True)
class Patches:
    """Samples are patches of volumes, drawn about a voxel of the draw's class.

    A draw selects a patient; a pass contains each patient once. Within the patient every voxel of the class is equally
    likely: first a slice is drawn, weighted by its number of such voxels, then one of these voxels.

    Attributes:
        size: (D, H, W).
        passes: patches of each patient in an epoch.
    """

    size: tuple[int, int, int]
    passes: int = 1

    def draws(self, pools: Pools[tuple[str, Tissue]]) -> int:
        """The number of draws in an epoch: each patient `passes` times."""
        return pools.draws(self.passes)

    def pools(
        self, subjects: Sequence[str], patient: Patient, chosen: Chosen, fraction: float | None
    ) -> Pools[tuple[str, Tissue]]:
        """Patients with tumor core, and patients with other tissue."""
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
        """A patch about a voxel selected by the random numbers."""
        subject, tissue = drawn
        slices = patient(subject)
        in_stack, in_slice = random(2)
        reached = np.cumsum(_area(slices, tissue))
        row = int(np.searchsorted(reached, in_stack * reached[-1], "right"))
        return _about(subject, slices, tissue, row, in_slice, self.size)


@dataclass(frozen=True)
class PatchesBySlice:
    """Samples are patches of volumes; each draw selects the slice that contains the patch's center.

    A sampler can therefore weigh slices in the same way as for 2D samples. Within the slice every voxel of the tissue
    is equally likely.

    Attributes:
        size: (D, H, W).
        passes: patches in an epoch per patient, on average.
        tissue: the tissue at a patch's center.
    """

    size: tuple[int, int, int]
    passes: int = 1
    tissue: Literal["tumour", "foreground"] = "foreground"

    def draws(self, pools: Pools[Row]) -> int:
        """The number of draws in an epoch: on average `passes` per patient."""
        return self.passes * len({subject for subject, _ in pools.other})

    def told(self, drawn: Row, patient: Patient) -> Row:
        """The key of a patch in the ratings of terms: the subject and its center slice's index in the LPS volume."""
        subject, row = drawn
        return subject, Patch.around(subject, patient(subject), (row, 0, 0), self.size).z

    def pools(self, subjects: Sequence[str], patient: Patient, chosen: Chosen, fraction: float | None) -> Pools[Row]:
        """Slices with the tissue."""
        rows = [(s, row) for s in subjects for row in np.flatnonzero(_area(patient(s), self.tissue)).tolist()]
        return Pools.of([], rows, None)

    def sample(self, drawn: Row, patient: Patient, random: Callable[[int], np.ndarray]) -> Patch:
        """A patch about a voxel of the slice, selected by the random number."""
        subject, row = drawn
        return _about(subject, patient(subject), self.tissue, row, random(1)[0], self.size)


def _about(
    subject: str, slices: PatientSlices, tissue: Tissue, row: int, in_slice: float, size: tuple[int, int, int]
) -> Patch:
    """The patch about a voxel of a tissue in a slice; `in_slice` in [0, 1) selects the voxel."""
    places = np.argwhere(_mask(slices, tissue, row))
    y, x = places[int(in_slice * len(places))].tolist()
    return Patch.around(subject, slices, (row, y, x), size)


def _area(slices: PatientSlices, tissue: Tissue) -> np.ndarray:
    """Number of pixels of a tissue in each slice, (S,)."""
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
