"""One file of a data set as described by its name, and the subjects that such files form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gantk.data.modalities import SEGMENTATION
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.progress import Progress

__all__ = ["Scan", "stem", "subjects_of"]


@dataclass(frozen=True)
class Scan:
    """A file, or one volume in a file.

    Attributes:
        subject: id of the patient or visit.
        patient: id of the patient.
        modality: the standardized name; `seg` for a segmentation.
        path: the file.
        detail: distinguishes several files of one modality, such as `run-2`.
    """

    subject: str
    patient: str
    modality: str
    path: Path
    detail: str = ""


def stem(path: Path) -> str:
    """A NIfTI file's name without its suffixes."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def subjects_of(
    scans: Iterable[Scan], progress: Progress, facts: Mapping[str, Mapping[str, str]] | None = None
) -> list[Subject]:
    """The subjects that scans belong to, sorted by id; a subject with only segmentations is skipped.

    If a subject has several files of one modality, the file whose detail sorts first keeps the modality's name; the
    others have their detail appended, and a note reports this.

    Args:
        scans: scans in any order.
        progress: receives the notes.
        facts: facts by patient.

    Raises:
        DataError: two files are the same image.
    """
    files: dict[str, dict[str, Path]] = {}
    owners: dict[str, str] = {}
    further: dict[str, Path] = {}
    for scan in sorted(scans, key=lambda scan: (scan.subject, scan.modality, scan.detail, scan.path)):
        own = files.setdefault(scan.subject, {})
        owners[scan.subject] = scan.patient
        name = scan.modality
        if name in own and scan.detail:
            name = f"{name}_{scan.detail}"
            further.setdefault(name, scan.path)
        if name in own:
            raise DataError(
                f"{scan.subject!r} has two {name!r} images",
                where=scan.path,
                why=f"the other one is {own[name]}",
                mend="name a folder that holds one of them, or write the table by hand",
            )
        own[name] = scan.path
    for name, path in further.items():
        progress.note(f"{path} is one of several such images of a patient; the table calls it {name!r}")
    segmentations = {subject: own.pop(SEGMENTATION, None) for subject, own in files.items()}
    return [
        Subject(name, own, segmentations[name], patient=owners[name], facts=(facts or {}).get(owners[name], {}))
        for name, own in files.items()
        if own
    ]
