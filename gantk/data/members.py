"""The patients at a path given to `gantk predict`: rows of a table, a BIDS data set, or patient folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gantk.data.cohort_table import is_table, read_table
from gantk.data.layouts.bids import bids, is_bids
from gantk.data.patient_folder import PatientFolder, folder_errors, patient_folders
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.files import walk_folders
from gantk.progress import QuietProgress

__all__ = ["patients_at"]


def patients_at(path: Path) -> Sequence[Path | Subject] | None:
    """The patients at a path: subjects, or folders of one patient each; None if the path is a single patient's folder.

    Files that a table names need not exist: a missing file is an error only when the patient is read.

    Raises:
        DataError: the table cannot be read, or the folder cannot be listed or contains no patient.
    """
    path = Path(path).expanduser()
    if is_table(path):
        return read_table(path, complete=False)
    if not path.is_dir():
        return None
    with folder_errors(path):
        if is_bids(path):
            return _found(bids(path, QuietProgress()), path)
        folders, _ = patient_folders(path)
        own = PatientFolder.of(path, next(walk_folders(path))[1])
        below = sorted(folder.path for folder in folders if folder.path != path)
        if own is not None and own.named and not any(folder.named for folder in folders if folder.path in below):
            return None
    return below or None


def _found(subjects: Sequence[Subject], path: Path) -> Sequence[Subject]:
    if not subjects:
        raise DataError("this BIDS data set holds no image", where=path, mend="name another folder")
    return subjects
