"""A subject, which is translated as one unit, and its volumes on one grid; needs only NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from gantk.data.normalisation import Scale
from gantk.data.slices import Slices, SliceSettings, intensities_of, normalised_slices

__all__ = ["Subject", "Volumes"]


@dataclass(frozen=True)
class Subject:
    """The unit of translation: a patient, a patient's visit or scan, or a picture, with its files.

    Attributes:
        id: unique name.
        files: image files by modality; inputs or targets may be missing.
        segmentation: file with labels.
        part: the part of the cohort to which the dataset assigns it; None lets the split decide.
        patient: the patient it belongs to; default: its id. All subjects of one patient are in one part of the split
            and count once in statistics.
        fold: the fold of a cross-validation in which its patient is tested; None if the dataset assigns none.
        facts: further facts by name, such as its site; a split can be stratified by one of them.
    """

    id: str
    files: Mapping[str, Path]
    segmentation: Path | None = None
    part: Literal["training", "validation", "test"] | None = None
    patient: str = ""
    fold: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.patient:
            object.__setattr__(self, "patient", self.id)

    @property
    def folder(self) -> Path | None:
        """The folder of its first file."""
        files = [*self.files.values(), *filter(None, [self.segmentation])]
        return files[0].parent if files else None


@dataclass(frozen=True)
class Volumes:
    """One subject's volumes on one LPS grid (axis 0 → left, 1 → posterior, 2 → superior).

    Attributes:
        images: modality name -> float32 (X, Y, Z), scanner units.
        segmentation: uint8 (X, Y, Z), labels as in the file, or None.
        affine: (4, 4), from voxel indices of this grid to RAS+ millimeters, as in nibabel; from the first image.
        grid_difference: largest distance between the grids of the files, as a fraction of a voxel.
        reference: the file whose grid this is, if images were resampled; None for the first image.
    """

    images: dict[str, np.ndarray]
    segmentation: np.ndarray | None
    affine: np.ndarray
    grid_difference: float = 0.0
    reference: Path | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along X, Y, Z in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along X, Y, Z."""
        x, y, z = next(iter(self.images.values())).shape
        return x, y, z

    def slices(self, inputs: Sequence[str], settings: SliceSettings) -> Slices:
        """Axial slices; see `gantk.data.slices.normalised_slices`."""
        return normalised_slices(self, inputs, settings)

    def restore(
        self, image: np.ndarray, inputs: Sequence[str], settings: SliceSettings, slices: Slices, scale: Scale
    ) -> np.ndarray:
        """Slices (Z, 1, H, W) in [-1, 1] as a volume float32 (X, Y, Z); the scale's background outside the brain."""
        return intensities_of(image[:, 0], self, inputs, settings, scale)
