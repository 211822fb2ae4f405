"""The layout of BraTS, 2012 to 2025: a folder per patient or visit, `X/X_t1ce.nii.gz` or `X/X-t1c.nii.gz`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gantk.data.brats import Brats
from gantk.data.layouts.scan import Scan, subjects_of
from gantk.data.modalities import SEGMENTATION, canonical
from gantk.data.volumes import Subject
from gantk.progress import Progress

__all__ = ["brats"]


def brats(root: Path, progress: Progress) -> list[Subject]:
    """The patients that the dataset `brats` finds; visits (in releases since 2023) are grouped by patient.

    Raises:
        DataError: as the dataset raises it.
    """
    return subjects_of(_scans(root, progress), progress)


def _scans(root: Path, progress: Progress) -> Iterator[Scan]:
    for subject in Brats(root).subjects(progress):
        for name, path in subject.files.items():
            yield Scan(subject.id, subject.patient, canonical(name), path, detail=name)
        if subject.segmentation is not None:
            yield Scan(subject.id, subject.patient, SEGMENTATION, subject.segmentation)
