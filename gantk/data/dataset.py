"""What the core expects of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from gantk.data.slices import Readable
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.progress import Progress

__all__ = ["Dataset", "make_data", "no_folder", "noun_of"]


class Dataset(Protocol):
    """A component of kind `dataset`; it travels to worker processes, so it must pickle.

    Optional members: `make(progress)`, which writes or fetches the files of `subjects` that are not there yet, called
    once before any is read; `subject_at(folder, modalities)`, `writes` (file endings), `members(path)` (the subjects
    of a folder) and `named(path, image)` (a prediction's name among others) for `gantk predict`; `reading`, the
    parameters that change what it reads of a file, plain JSON types; `noun`, what one subject is called where it is no
    patient.
    """

    def subjects(self, progress: Progress) -> Sequence[Subject]:
        """All subjects, sorted by id.

        Raises:
            DataError: there are none, or they cannot be listed.
        """

    def read(self, subject: Subject, modalities: Sequence[str], segmentation: bool = True) -> Readable:
        """One subject's images.

        Raises:
            DataError: a file cannot be used.
        """


def noun_of(dataset: Dataset) -> str:
    """What one subject of a dataset is called; its plural has an s."""
    return str(getattr(dataset, "noun", "patient"))


def make_data(dataset: Dataset, progress: Progress) -> None:
    """Let a dataset that makes its own files do so.

    Raises:
        DataError: they cannot be made.
    """
    make = getattr(dataset, "make", None)
    if make is not None:
        make(progress)


def no_folder(path: Path, mend: str) -> DataError:
    """That a path is not a folder, or is not there."""
    return DataError("this is no folder" if path.exists() else "this folder does not exist", where=path, mend=mend)
