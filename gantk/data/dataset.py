"""The interface of datasets."""

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
    """A component of kind `dataset`; it is sent to worker processes and must therefore pickle.

    Optional members: `make(progress)` writes or fetches the files of `subjects` that do not exist yet and is called
    once before any file is read. For `gantk predict`: `subject_at(folder, modalities)`, `write(path, image, like)`,
    `writes` (file endings), `members(path)` (the subjects at a path, or the paths that `subject_at` takes; None if the
    path is a single subject) and `named(path, image)` (the file name of a prediction among several, if predictions keep
    the input's name). `reading`: the parameters that change what is read from a file, plain JSON types. `noun`: the
    word for one subject if it is not a patient.
    """

    def subjects(self, progress: Progress) -> Sequence[Subject]:
        """All subjects, sorted by id.

        Raises:
            DataError: there are no subjects, or they cannot be listed.
        """

    def read(self, subject: Subject, modalities: Sequence[str], segmentation: bool = True) -> Readable:
        """One subject's images.

        Raises:
            DataError: a file cannot be used.
        """


def noun_of(dataset: Dataset) -> str:
    """The word for one subject of a dataset; its plural ends in s."""
    return str(getattr(dataset, "noun", "patient"))


def with_patient(subject: Subject, pattern: str) -> Subject:
    """A copy of a subject whose patient is read from the last part of its id.

    Args:
        subject: the subject as listed from its files.
        pattern: matches the patient's part from the beginning (its first group, if it has one); a subject whose name
            does not match is its own patient.
    """
    found = re.match(pattern, subject.id.rpartition("/")[2])
    return subject if found is None else replace(subject, patient=found[min(1, found.re.groups)] or subject.id)


def make_data(dataset: Dataset, progress: Progress) -> None:
    """Call the dataset's `make`, if it has one.

    Raises:
        DataError: the files cannot be made.
    """
    make = getattr(dataset, "make", None)
    if make is not None:
        make(progress)


def no_folder(path: Path, mend: str) -> DataError:
    """The error for a path that does not exist or is not a folder."""
    return DataError("this is not a folder" if path.exists() else "this folder does not exist", where=path, mend=mend)
