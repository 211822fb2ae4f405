"""What the core expects of a dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import AfterValidator

from gantk.data.slices import Readable
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.progress import Progress

__all__ = ["Dataset", "Pattern", "make_data", "no_folder", "noun_of", "with_patient"]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a valid regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A regular expression, as a dataset's parameter."""


class Dataset(Protocol):
    """A component of kind `dataset`; it travels to worker processes, so it must pickle.

    Optional members: `make(progress)`, which writes or fetches the files of `subjects` that are not there yet, called
    once before any is read; `subject_at(folder, modalities)`, `write(path, image, like)`, `writes` (file endings),
    `members(path)` (the subjects at a path, or the paths that `subject_at` takes; None for a path of one) and
    `named(path, image)` (a prediction's file name among others, where it keeps the input's) for `gantk predict`;
    `reading`, the parameters that change what it reads of a file, plain JSON types; `noun`, what one subject is called
    if it is not a patient.
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


def with_patient(subject: Subject, pattern: str) -> Subject:
    """A subject with the patient that the last part of its id names.

    Args:
        subject: as its files tell.
        pattern: matches the patient's part from the beginning, as its first group where it has one; a subject whose
            name does not match is a patient by itself.
    """
    found = re.match(pattern, subject.id.rpartition("/")[2])
    return subject if found is None else replace(subject, patient=found[min(1, found.re.groups)] or subject.id)


def make_data(dataset: Dataset, progress: Progress) -> None:
    """Call the dataset's `make`, if it has one.

    Raises:
        DataError: they cannot be made.
    """
    make = getattr(dataset, "make", None)
    if make is not None:
        make(progress)


def no_folder(path: Path, mend: str) -> DataError:
    """The error that a path does not exist or is not a folder."""
    return DataError("this is not a folder" if path.exists() else "this folder does not exist", where=path, mend=mend)
