"""Reading and writing a cohort as a CSV or TSV table: a row per patient or visit, a column per modality."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gantk.data.modalities import SEGMENTATION, in_order
from gantk.data.nifti import located
from gantk.data.volumes import Subject
from gantk.errors import DataError, nearest
from gantk.files import write_csv

__all__ = ["PICTURES", "SCANS", "Kind", "is_table", "read_table", "write_table"]

_PATIENT, _SUBJECT, _VISIT, _PART, _FOLD = _NAMED = ("patient", "subject", "visit", "part", "fold")
_PARTS: Mapping[str, Literal["training", "validation", "test"]] = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_ABSENT = ("", "n/a")  # as in BIDS
_SHOWN = 3  # number of missing files that an error names


@dataclass(frozen=True)
class Kind:
    """The kind of files that a table's columns name.

    Attributes:
        noun: the word for such a file in errors.
        endings: the file name endings, as a regular expression.
        example: some endings, for errors.
        dataset: the dataset that reads such a table.
        labelled: whether the column `seg` is a segmentation and not an image.
    """

    noun: str
    endings: str
    example: str
    dataset: str
    labelled: bool = False

    def named(self, cell: str) -> bool:
        """Whether a cell names a file of this kind."""
        return re.search(rf"(?:{self.endings})$", cell, re.IGNORECASE) is not None


SCANS = Kind("NIfTI file", r"\.nii(?:\.gz)?(?:#\d+)?", ".nii.gz or .nii", "table", labelled=True)
PICTURES = Kind("picture", r"\.(?:png|jpe?g|tiff?)", ".png, .jpg or .tif", "image_table")


def is_table(path: Path) -> bool:
    """Whether a path has the suffix of a table."""
    return path.suffix.lower() in (".csv", ".tsv")


def read_table(path: Path, kind: Kind = SCANS, *, complete: bool = True) -> list[Subject]:
    """The subjects of a table, sorted by id.

    The first row names the columns. `patient` is required. `subject` (or `visit`) distinguishes several rows of one
    patient, `part` and `fold` assign a patient to a part of the split, and `seg` is the segmentation. Any other column
    that names files of this kind, relative to the table's folder, is a modality; all other columns are facts. An empty
    cell means that the file does not exist.

    Args:
        path: the table.
        kind: the kind of its files.
        complete: whether all files must exist.

    Raises:
        DataError: the table cannot be read or has no row, a column or cell is not understood, a file does not
            exist, or a subject appears twice.
    """
    path = Path(path)
    header, rows = _rows(path)
    images = [
        name
        for name in header
        if (name == SEGMENTATION and kind.labelled)
        or (name not in _NAMED and any(kind.named(row.cells[name]) for row in rows))
    ]
    if set(images) <= {SEGMENTATION}:
        raise _no_images(path, header, rows, kind)
    facts = [name for name in header if name not in (*_NAMED, *images)]
    found: dict[str, tuple[_Row, Subject]] = {}
    for row in rows:
        subject = row.subject(images, facts, kind)
        if subject.id in found:
            raise DataError(
                f"the subject {subject.id!r} is in two rows",
                where=row.place,
                why=f"the other one is line {found[subject.id][0].line}",
                mend="name each visit or scan of a patient in a column `visit` or `subject`",
            )
        found[subject.id] = row, subject
    if complete:
        _check_there(found.values())
    return [found[name][1] for name in sorted(found)]


def write_table(path: Path, subjects: Sequence[Subject]) -> None:
    """Write subjects as a table that `read_table` reads, with paths relative to the table's folder; atomic.

    Raises:
        OSError: the file cannot be written.
    """
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 — links stay as they are written
    modalities = in_order({name for subject in subjects for name in subject.files})
    facts = list(dict.fromkeys(name for subject in subjects for name in subject.facts))
    columns: dict[str, list[str]] = {_PATIENT: [subject.patient for subject in subjects]}
    if any(subject.id != subject.patient for subject in subjects):
        columns[_SUBJECT] = [subject.id for subject in subjects]
    columns |= {name: [_relative(subject.files.get(name), folder) for subject in subjects] for name in modalities}
    columns[SEGMENTATION] = [_relative(subject.segmentation, folder) for subject in subjects]
    for name in (name for name in facts if name not in (*columns, *_NAMED)):
        columns[name] = [subject.facts.get(name, "") for subject in subjects]
    columns[_PART] = [subject.part or "" for subject in subjects]
    columns[_FOLD] = ["" if subject.fold is None else str(subject.fold) for subject in subjects]
    used = {name: cells for name, cells in columns.items() if any(cells)}
    rows = zip(*used.values(), strict=True)
    write_csv(path, [used, *rows], delimiter="\t" if path.suffix.lower() == ".tsv" else ",")


@dataclass(frozen=True)
class _Row:
    """A row's cells by column, and the row's place in the file."""

    table: Path
    line: int
    cells: Mapping[str, str]

    @property
    def place(self) -> str:
        return f"{self.table}:{self.line}"

    def subject(self, images: Sequence[str], facts: Sequence[str], kind: Kind) -> Subject:
        patient = self.cells[_PATIENT]
        if not patient:
            raise DataError("this row names no patient", where=self.place, mend="fill in its column `patient`")
        visit = self.cells.get(_VISIT)
        files = {name: file for name in images if (file := self._file(name, kind)) is not None}
        return Subject(
            id=self.cells.get(_SUBJECT) or (f"{patient}_{visit}" if visit else patient),
            segmentation=files.pop(SEGMENTATION, None) if kind.labelled else None,
            files=files,
            part=self._part(),
            patient=patient,
            fold=self._fold(),
            facts={name: self.cells[name] for name in facts},
        )

    def _file(self, name: str, kind: Kind) -> Path | None:
        cell = self.cells[name]
        if not cell:
            return None
        if not kind.named(cell):
            mend = f"name a file that ends in {kind.example}, or leave the cell empty if there is none"
            raise self._error(name, f"is not a {kind.noun}", mend)
        return self.table.parent / Path(cell).expanduser()

    def _part(self) -> Literal["training", "validation", "test"] | None:
        cell = self.cells.get(_PART)
        if cell and cell.lower() not in _PARTS:
            known = ", ".join(sorted(set(_PARTS.values())))
            raise self._error(_PART, "is not a part of a split", f"write one of {known}")
        return _PARTS[cell.lower()] if cell else None

    def _fold(self) -> int | None:
        cell = self.cells.get(_FOLD)
        if cell and not cell.isdecimal():
            raise self._error(_FOLD, "is not the number of a fold", "count folds from 0: 0, 1, 2, …")
        return int(cell) if cell else None

    def _error(self, column: str, what: str, mend: str) -> DataError:
        return DataError(f"{self.cells[column]!r} in the column {column!r} {what}", where=self.place, mend=mend)


def _no_images(path: Path, header: Sequence[str], rows: Sequence[_Row], kind: Kind) -> DataError:
    """The error for a table without any file of this kind; says what the table names instead."""
    others = {
        other.dataset: name
        for other in (SCANS, PICTURES)
        for name in header
        if other != kind and any(other.named(row.cells[name]) for row in rows)
    }
    dataset, column = next(iter(others.items()), ("", ""))
    return DataError(
        f"no column of this table names a {kind.noun}",
        where=path,
        why=f"the column {column!r} names files of another kind" if column else None,
        mend=f'set data.dataset = "{dataset}"' if dataset else f"add a column of files that end in {kind.example}",
    )


def _rows(path: Path) -> tuple[list[str], list[_Row]]:
    """The column names and the non-empty rows."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("this table does not exist", where=path, mend="correct the path of the table") from None
    except UnicodeDecodeError as error:
        raise DataError(
            "this table is not UTF-8 text", where=path, why=error, mend="save it as CSV in the encoding UTF-8"
        ) from None
    except OSError as error:
        raise DataError("this table cannot be read", where=path, why=error.strerror, mend="check the path") from error
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [_column(name) for name in next(reader, [])]
        _check_header(path, header)
        rows = [_row(path, reader.line_num, header, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        where = f"{path}:{reader.line_num}"
        raise DataError(
            "this line is not valid CSV",
            where=where,
            why=error,
            mend="close its quotes, or save the table as CSV again",
        ) from None
    if not rows:
        raise DataError("this table names no patient", where=path, mend="add a row for each patient")
    return [name for name in header if name], rows


def _delimiter(text: str) -> str:
    """The delimiter of the columns; spreadsheets write semicolons in some languages."""
    head = text.partition("\n")[0]
    return max("\t;,", key=head.count)


def _column(name: str) -> str:
    """A column's name; reserved names are recognized in upper or lower case."""
    name = name.strip()
    return name.lower() if name.lower() in (*_NAMED, SEGMENTATION) else name


def _check_header(path: Path, header: Sequence[str]) -> None:
    if _PATIENT not in header:
        raise DataError(
            "this table has no column `patient`",
            where=path,
            why=nearest(_PATIENT, filter(None, header)),
            mend="name the columns in the first row: patient, one for each modality, and so on",
        )
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise DataError(
            f"two columns are called {twice!r}", where=path, mend="give each column a name of its own in the first row"
        )


def _row(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> _Row:
    if len(cells) > len(header):
        raise DataError(
            f"this row has {len(cells)} cells, but the table has {len(header)} columns",
            where=f"{path}:{line}",
            mend='put cells that hold the separator into quotes ("…"), or name the additional columns in the first row',
        )
    values = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
    named = {name: value for name, value in zip(header, values, strict=True) if name}
    return _Row(path, line, {name: "" if value in _ABSENT else value for name, value in named.items()})


def _check_there(found: Iterable[tuple[_Row, Subject]]) -> None:
    missing = [
        (row, name, file)
        for row, subject in found
        for name, file in (*subject.files.items(), (SEGMENTATION, subject.segmentation))
        if file is not None and not located(file)[0].is_file()
    ]
    if missing:
        (row, name, file), *more = missing
        others = [f"{other[2]} (line {other[0].line})" for other in more[:_SHOWN]]
        others += [f"{len(more) - _SHOWN} more"] if len(more) > _SHOWN else []
        raise DataError(
            f"the column {name!r} names the file {file}, which does not exist",
            where=row.place,
            why=f"also missing: {', '.join(others)}" if others else None,
            mend=f"correct the path, which is relative to {row.table.parent}, or leave the cell empty",
        )


def _relative(file: Path | None, folder: Path) -> str:
    if file is None:
        return ""
    absolute = os.path.abspath(file)  # noqa: PTH100
    try:
        return Path(os.path.relpath(absolute, folder)).as_posix()
    except ValueError:  # another drive
        return Path(absolute).as_posix()
