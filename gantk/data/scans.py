"""The base of all datasets of NIfTI files: finds a subject in a folder, reads and writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from gantk.data.dataset import no_folder
from gantk.data.modalities import canonical
from gantk.data.patient_folder import EXPECTED, PatientFolder, folder_errors, layout_error
from gantk.data.volumes import TOLERANCE, Subject, Volumes, read_volumes, write_like
from gantk.errors import DataError, nearest
from gantk.files import walk_folders

__all__ = ["Resampling", "Scans"]

_ONTO = "to:"
Resampling = Annotated[str, Field(pattern=f"^{_ONTO}.+$")]


class Scans:
    """Subjects whose images are NIfTI files; a dataset adds the listing of subjects.

    Args:
        tolerance: largest allowed distance between the grids of a subject's images, as a fraction of a voxel of the
            first image.
        resample: `to:NAME` resamples images beyond the tolerance onto the grid of that modality.
    """

    writes = (".nii.gz", ".nii")

    def __init__(self, tolerance: float = TOLERANCE, resample: str | None = None) -> None:
        self.tolerance, self.resample = tolerance, resample

    @property
    def reading(self) -> dict[str, float | str]:
        """The parameters that decide whether an image is read, and onto which grid."""
        return {"tolerance": self.tolerance} | ({} if self.resample is None else {"resample": self.resample})

    @classmethod
    def subject_at(cls, folder: Path, modalities: Sequence[str]) -> Subject:
        """The patient in one folder.

        Raises:
            DataError: the folder does not exist, lacks one of the modalities, or may contain files of several patients.
        """
        subject = cls.listed_at(folder)
        usual = {canonical(name): file for name, file in subject.files.items()}  # by standardized name
        subject = replace(subject, files={**usual, **subject.files})
        for name in modalities:
            if name not in subject.files:
                raise DataError(
                    f"the patient in this folder has no {name!r} image",
                    where=folder,
                    why=nearest(name, subject.files),
                    mend=f"add a file that ends in _{name}.nii.gz",
                )
        return subject

    @staticmethod
    def listed_at(folder: Path) -> Subject:
        """The patient in one folder with all of its images, named as in their files.

        Raises:
            DataError: the folder does not exist, contains no image, or may contain files of several patients.
        """
        folder = Path(folder).expanduser()
        if not folder.is_dir():
            raise no_folder(folder, "name the folder of one patient")
        with folder_errors(folder):
            found = PatientFolder.of(folder, next(walk_folders(folder))[1])
        if found is None:
            raise layout_error(
                "this folder holds no image of a patient", folder, EXPECTED, "name the folder of one patient"
            )
        return found.subject()[0]

    @staticmethod
    def members(path: Path) -> Sequence[Path | Subject] | None:
        """The patients of a table or a folder; see `gantk.data.members.patients_at`."""
        from gantk.data.members import patients_at  # imported here: it imports the layouts, which import the datasets

        return patients_at(path)

    def read(self, subject: Subject, modalities: Sequence[str], segmentation: bool = True) -> Volumes:
        """The subject's volumes; see `gantk.data.volumes.read_volumes`."""
        onto = None if self.resample is None else self.resample.removeprefix(_ONTO)
        return read_volumes(subject, modalities, segmentation=segmentation, tolerance=self.tolerance, onto=onto)

    @staticmethod
    def write(path: Path, image: np.ndarray, like: Path) -> None:
        """Write an LPS volume with the affine and header of a file; see `gantk.data.volumes.write_like`."""
        write_like(path, image, like)
