"""The dataset `brats`: a folder of patients in the layout of BraTS 2018 to 2021."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gantk.data.volumes import Subject, Volumes, read_volumes, write_like
from gantk.errors import DataError, nearest
from gantk.progress import Progress

__all__ = ["Brats"]

_LAYOUT = "expected are patient folders with files such as X/X_t1.nii.gz and X/X_seg.nii.gz, at any depth"
_SEGMENTATION = {"seg", "segm"}  # BraTS 2020 names one file (…355) …_Segm.nii


class Brats:
    """Patients in folders `X/X_{t1,t2,flair,t1ce,seg}.nii[.gz]`, nested at any depth (HGG/LGG).

    What follows the last underscore of a file's name, in lower case, is the modality; any name will do.

    Args:
        root: folder that holds the patients' folders.
    """

    writes = (".nii.gz", ".nii")

    def __init__(self, root: Path) -> None:
        self.root = Path(root).expanduser()

    def subjects(self, progress: Progress) -> list[Subject]:
        """All patients sorted by id, which is the name of the patient's folder.

        Raises:
            DataError: the root does not exist or holds no patient, an id appears twice, or a folder holds
                two files of one modality.
        """
        if not self.root.is_dir():
            raise DataError("this folder does not exist", where=self.root, mend="Correct data.root in the recipe")
        found: dict[str, Path] = {}
        subjects = []
        for name, folders, _ in os.walk(self.root, followlinks=True):
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            folder = Path(name)
            subject = _subject(folder)
            if subject is None:
                continue
            if subject.id in found:
                raise DataError(
                    f"two folders hold a patient {subject.id!r}",
                    where=folder,
                    why=f"the other is {found[subject.id]}",
                    mend="Rename or remove one of them",
                )
            found[subject.id] = folder
            subjects.append(subject)
        if not subjects:
            raise DataError(
                "this folder holds no patient",
                where=self.root,
                why=_LAYOUT,
                mend="Correct data.root in the recipe",
            )
        progress.note(f"{len(subjects)} patients in {self.root}")
        return sorted(subjects, key=lambda subject: subject.id)

    @staticmethod
    def subject_at(folder: Path, modalities: Sequence[str]) -> Subject:
        """The patient in one folder.

        Raises:
            DataError: the folder does not exist, or lacks one of the modalities.
        """
        folder = Path(folder).expanduser()
        if not folder.is_dir():
            raise DataError("this folder does not exist", where=folder, mend="Name the folder of one patient")
        subject = _subject(folder)
        if subject is None:
            raise DataError(
                "this folder holds no image of a patient",
                where=folder,
                why=_LAYOUT.replace(", at any depth", ""),
                mend="Name the folder of one patient",
            )
        for name in modalities:
            if name not in subject.files:
                raise DataError(
                    f"the patient in this folder has no {name!r} image",
                    where=folder,
                    why=f"for this name: {nearest(name, subject.files)}",
                    mend=f"Add a file that ends in _{name}.nii.gz",
                )
        return subject

    def read(self, subject: Subject, modalities: Sequence[str], segmentation: bool = True) -> Volumes:
        """The patient's volumes; see `gantk.data.volumes.read_volumes`."""
        return read_volumes(subject, modalities, segmentation=segmentation)

    @staticmethod
    def write(path: Path, image: np.ndarray, like: Path) -> None:
        """Write an LPS volume with the affine and header of a file; see `gantk.data.volumes.write_like`."""
        write_like(path, image, like)


def _subject(folder: Path) -> Subject | None:
    """The patient whose files lie in this very folder, or None where there is none."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if name.startswith(".") or not name.endswith((".nii", ".nii.gz")) or not path.is_file():
            continue
        stem, underscore, modality = name.removesuffix(".gz").removesuffix(".nii").rpartition("_")
        if not (stem and underscore and modality):
            continue
        modality = "seg" if modality in _SEGMENTATION else modality
        if modality in files:
            raise DataError(
                f"this folder holds two {modality!r} images",
                where=folder,
                why=f"{files[modality].name} and {path.name}",
                mend="Remove one, and keep each patient in a folder of its own",
            )
        files[modality] = path
    segmentation = files.pop("seg", None)
    return Subject(folder.resolve().name, files, segmentation) if files else None
