"""Recognition of a patient's files in a folder, by their names: `X/X_t1.nii.gz`, `X/X-t1c.nii.gz`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gantk.data.recognize import recognize
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.files import walk_folders

__all__ = ["EXPECTED", "PatientFolder", "folder_errors", "layout_error", "patient_folders"]

EXPECTED = "patient folders with files such as X/X_t1.nii.gz and X/X_seg.nii.gz are expected"
"""A description of the expected layout, for errors."""

_SEGMENTATION = ("seg", "segm")  # BraTS 2020 names one file (…355) …_Segm.nii


@dataclass(frozen=True)
class _Scan:
    """A file of a patient: the beginning of its name, and the modality at the end of its name, in lower case."""

    stem: str
    modality: str
    path: Path


@dataclass(frozen=True)
class PatientFolder:
    """A folder with images that may belong to one patient.

    Attributes:
        path: the folder, as the user wrote it.
        images: its images.
        segmentations: its segmentations.
    """

    path: Path
    images: tuple[_Scan, ...]
    segmentations: tuple[_Scan, ...]

    @classmethod
    def of(cls, path: Path, files: Iterable[Path]) -> PatientFolder | None:
        """The folder with these files; None if no file is named like a patient's image."""
        names = (_name(path), path.resolve().name.lower())  # a link may have a different name
        scans = [scan for file in files if (scan := _scan(file, names)) is not None]
        images = tuple(scan for scan in scans if scan.modality not in _SEGMENTATION)
        return cls(path, images, tuple(scan for scan in scans if scan not in images)) if images else None

    @property
    def named(self) -> bool:
        """Whether images are named after the folder, so that it certainly is a patient's folder."""
        return any(scan.stem == _name(self.path) for scan in self.images)

    @property
    def files(self) -> list[Path]:
        """All files of the folder."""
        return [scan.path for scan in (*self.images, *self.segmentations)]

    def subject(self, root: Path | None = None) -> tuple[Subject, list[str]]:
        """The patient, and notes on files that do not belong to the patient, or might not.

        Args:
            root: the data set's folder, which errors name if it has another layout; default: this folder.

        Raises:
            DataError: the files may belong to several patients, or two files have the same modality.
        """
        stems = sorted({scan.stem for scan in self.images})
        stem = _name(self.path) if self.named else stems[0]
        if not self.named and len(stems) > 1:
            raise self._of_several(stems, root)
        mine = [scan for scan in self.images if scan.stem == stem]
        labels = [scan for scan in self.segmentations if scan.stem == stem]
        notes = []
        if not labels and len(self.segmentations) == 1:
            labels = [*self.segmentations]
            notes.append(f"{labels[0].path} is used as the segmentation of the images next to it")
        files = self._by_modality(mine)
        segmentation = self._by_modality([_Scan(scan.stem, "seg", scan.path) for scan in labels]).get("seg")
        used = {*files.values(), segmentation}
        notes += [f"{path} is not named after its patient and is ignored" for path in self.files if path not in used]
        return Subject(_written(self.path), files, segmentation), notes

    def _of_several(self, stems: Sequence[str], root: Path | None) -> DataError:
        first, second = (next(scan.path.name for scan in self.images if scan.stem == stem) for stem in stems[:2])
        return layout_error(
            f"this folder may hold files of several patients, such as {first} and {second}",
            self.path,
            "the names of a patient's files begin with the name of the folder, or at least with the same text",
            root=root,
        )

    def _by_modality(self, scans: Sequence[_Scan]) -> dict[str, Path]:
        files: dict[str, Path] = {}
        for scan in scans:
            if scan.modality in files:
                raise DataError(
                    f"this folder has two {scan.modality!r} images",
                    where=self.path,
                    why=f"{files[scan.modality].name} and {scan.path.name}",
                    mend="move one of them to a folder outside of data.root",
                )
            files[scan.modality] = scan.path
        return files


def patient_folders(root: Path) -> tuple[list[PatientFolder], list[str]]:
    """The patients' folders at any depth below a root, and notes on other files.

    Files next to patients' folders, such as a template, are not patients; nor are files in a folder inside a
    patient's folder, such as masks, unless they are named after that inner folder.
    """
    found: list[PatientFolder] = []
    notes = []
    for path, files in walk_folders(root):
        folder = PatientFolder.of(path, files)
        if folder is not None:
            found.append(folder)
        notes += [f"{file} is a broken link" for file in files if not file.exists()]
    above = {parent for folder in found for parent in folder.path.parents}
    certain = {folder.path for folder in found if folder.named and folder.path != root}
    patients = []
    for folder in found:
        if folder.path in certain or not (folder.path in above or certain.intersection(folder.path.parents)):
            patients.append(folder)
        else:
            notes += [f"{file} belongs to no patient and is ignored" for file in folder.files]
    return patients, notes


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """A context for listing a folder: an `OSError` becomes a `DataError` that names the path."""
    try:
        yield
    except OSError as error:
        raise DataError(
            "this folder cannot be read",
            where=error.filename or folder,
            why=error,
            mend="check its permissions",
        ) from error


def layout_error(
    what: str, where: Path, why: str, mend: str = "name another folder", *, root: Path | None = None
) -> DataError:
    """An error that also names the layout that a folder resembles, with one of its files as an example.

    Args:
        what: the problem.
        where: the folder.
        why: the expected content.
        mend: what to do if no file could be an image.
        root: the data set's folder; default: `where`.
    """
    found = recognize(where, root)
    if found is None:
        return DataError(what, where=where, why=why, mend=mend)
    looks = f"looks like {found.layout}" if found.layout else "is named differently"
    return DataError(what, where=where, why=f"{why}, but {found.file.relative_to(where)} {looks}", mend=found.mend)


def _written(folder: Path) -> str:
    """A folder's name as the user wrote it: a link keeps its own name, `.` is resolved."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100


def _name(folder: Path) -> str:
    return _written(folder).lower()


def _scan(file: Path, names: Sequence[str]) -> _Scan | None:
    """The parts of an image's file name; None if the name is not an image's."""
    name = file.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        return None
    name = name.removesuffix(".gz").removesuffix(".nii")
    for own in names:
        rest = name.removeprefix(own)
        # in a folder `study`, the 001 of study_001_t1 is a patient's number, not part of a modality
        if rest != name and rest[:1] in ("_", "-") and rest[1:] and not _numbered(rest[1:]):
            return _Scan(names[0], rest[1:], file)
    stem, _, modality = name.rpartition("_")
    if not stem or not modality or modality.isdigit():  # in BRATS_001, the 001 is a patient's number
        return None
    return _Scan(stem, modality, file)


def _numbered(rest: str) -> bool:
    """Whether the rest of a name is a number followed by something else."""
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return 0 < digits < len(rest) and rest[digits] in "_-"
