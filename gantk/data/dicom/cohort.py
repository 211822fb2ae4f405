"""The subjects of a folder of DICOM files: each series recognized, the best of each modality converted."""

from __future__ import annotations

import csv
import importlib.util
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gantk.data.dicom.itk import all_series, convert
from gantk.data.dicom.sequences import Named, modality_of, named
from gantk.data.dicom.series import Series
from gantk.data.volumes import Subject
from gantk.errors import DataError, UsageError
from gantk.files import write_csv
from gantk.progress import Progress

__all__ = ["SERIES", "dicom"]

SERIES = "series.csv"
"""The record of all series, in the folder of the images."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.-]+")
_SHOWN = 4  # number of descriptions that a message names


def dicom(root: Path, images: Path, progress: Progress, patterns: Sequence[str] = ()) -> list[Subject]:
    """The subjects of DICOM files; their series are written as `IMAGES/SUBJECT/SUBJECT_t1.nii.gz`.

    A patient with several studies has one subject per study, named by its date. If several series have the same
    modality, original images are preferred over derived ones, then the finest voxels, then the first series.
    `IMAGES/series.csv` records for every series which modality it was used for, or why it was not used. Files of an
    earlier call are kept if they came from the same series.

    Args:
        root: the folder with DICOM files, at any depth, in any order.
        images: the folder for NIfTI files.
        progress: receives notes on what was recognized and on series that cannot be converted.
        patterns: `NAME=DESCRIPTION`, the modality of series with this description; overrides automatic recognition. `*`
            stands for anything, and an empty NAME skips the series.

    Raises:
        UsageError: SimpleITK is not installed, or a pattern is invalid.
        DataError: the folder contains no DICOM image, or no series is recognized.
        OSError: a folder cannot be read or written.
    """
    rules = named(patterns)
    if importlib.util.find_spec("SimpleITK") is None:
        raise UsageError(
            "DICOM series are read by SimpleITK, which is not installed", command="pip install 'gantk[dicom]'"
        )
    found = all_series(root, progress)
    if not found:
        raise DataError(
            "this folder holds no DICOM image", where=root, mend="name the folder with the files of the scanner"
        )
    choices = _choices(found, rules, root)
    taken = [choice for choice in choices if choice.file]
    if not taken:
        told = sorted({choice.series.description or "(no description)" for choice in choices})
        raise DataError(
            "no series in this folder is recognized",
            where=root,
            why=f"they are described as {', '.join(map(repr, told[:_SHOWN]))}",
            mend='name their modalities with --pattern "t1=DESCRIPTION"; * stands for anything',
        )
    done = _convert(choices, images, progress)
    _tell(done, images / SERIES, progress)
    return _subjects(done, images, root)


@dataclass(frozen=True)
class _Choice:
    """A series, and the decision about it.

    Attributes:
        series: the headers of the series.
        subject: the subject's id.
        modality: the recognized modality; empty if none was recognized.
        file: path below the folder of the images; empty if the series is not used.
        note: why the series is not used.
    """

    series: Series
    subject: str
    modality: str = ""
    file: str = ""
    note: str = ""

    @property
    def row(self) -> dict[str, str]:
        """The row for this series in the record."""
        one = self.series
        return {
            "subject": self.subject,
            "date": one.date,
            "number": str(one.number),
            "description": one.description,
            "agent": one.agent,
            "slices": str(one.slices),
            "longest_voxel_side": f"{one.side:.3g}",
            "modality": self.modality,
            "file": self.file,
            "note": self.note,
            "series": one.key,
        }


def _choices(found: Sequence[Series], rules: Sequence[Named], root: Path) -> list[_Choice]:
    """The decision about each series."""
    subjects = _names(found, root)
    choices = []
    groups: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in found:
        rule = next((rule for rule in rules if rule.fits(one)), None)
        modality = (modality_of(one) or "") if rule is None else rule.modality
        if not modality:
            choices.append(_Choice(one, subjects[one.key], note="not recognized" if rule is None else "left out"))
        elif one.fault:
            choices.append(_Choice(one, subjects[one.key], modality, note=one.fault))
        else:
            groups[subjects[one.key], modality].append(one)
    for (subject, modality), group in groups.items():
        best, *others = sorted(group, key=lambda one: (one.derived, round(one.side, 2), one.number, one.key))
        choices.append(_Choice(best, subject, modality, f"{subject}/{subject}_{modality}.nii.gz"))
        note = f"series {best.number} is taken"
        choices += [_Choice(other, subject, modality, note=note) for other in others]
    return sorted(choices, key=lambda choice: (choice.subject, choice.series.number, choice.series.key))


def _names(found: Iterable[Series], root: Path) -> dict[str, str]:
    """The name of each series' subject: the patient, with the study's date if the patient has several studies."""
    studies: dict[str, dict[str, str]] = defaultdict(dict)
    told: dict[str, Series] = {}
    for one in found:
        patient = _patient(one, root)
        studies[patient].setdefault(one.study, one.date)
        if (other := told.setdefault(patient, one)).patient != one.patient:
            raise DataError(
                f"two patients, {other.patient!r} and {one.patient!r}, would have the same name {patient!r} in files",
                where=one.folder,
                why=f"the other one is in {other.folder}",
                mend="convert their folders separately, or change a PatientID",
            )
    names = {}
    for patient, dates in studies.items():
        twice = Counter(dates.values())
        for number, (study, date) in enumerate(sorted(dates.items(), key=lambda item: (item[1], item[0])), 1):
            visit = date if date and twice[date] == 1 else f"{date}-{number}".lstrip("-")
            names[patient, study] = patient if len(dates) == 1 else f"{patient}_{visit}"
    return {one.key: names[_patient(one, root), one.study] for one in found}


def _patient(series: Series, root: Path) -> str:
    """A patient's id as a valid file name; the folder below the root if the files have no id."""
    below = series.folder.relative_to(root).parts
    told = series.patient or (below[0] if below else root.name)
    return _NOT_IN_NAMES.sub("-", told).strip("-.") or "patient"


def _convert(choices: Sequence[_Choice], images: Path, progress: Progress) -> list[_Choice]:
    """Convert the chosen series and return the choices; a series that could not be converted has no file."""
    before = _read(images / SERIES)
    jobs, known = [], {}
    for choice in choices:
        path = images / choice.file
        if choice.file and not (before.get(choice.file) == choice.series.key and path.is_file()):
            path.unlink(missing_ok=True)
            jobs.append((choice.series, path))
        known[choice.series.key] = choice
    _write(images / SERIES, choices)  # first, so that a later call knows which series the files came from
    with progress.task("Converting", len(jobs)) as bar:
        for series, fault in convert(jobs):
            if fault:
                known[series.key] = replace(known[series.key], file="", note=f"not converted: {fault}")
                progress.note(f"Series {series.number} of {known[series.key].subject} is left out: {fault}")
            bar.advance()
    done = list(known.values())
    _write(images / SERIES, done)
    return done


def _read(path: Path) -> dict[str, str]:
    """The series that each file was made from, as recorded by an earlier call."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            return {row["file"]: row["series"] for row in csv.DictReader(handle) if row["file"]}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError):
        return {}


def _write(path: Path, choices: Sequence[_Choice]) -> None:
    write_csv(path, [choices[0].row, *(choice.row.values() for choice in choices)])


def _tell(choices: Sequence[_Choice], record: Path, progress: Progress) -> None:
    """Report which series were used for which modality, and where the record of all series is."""
    taken: dict[str, Counter[str]] = defaultdict(Counter)
    for choice in choices:
        if choice.file:
            taken[choice.modality][choice.series.description or "(no description)"] += 1
    for modality, described in taken.items():
        more = f" and {len(described) - _SHOWN} more" if len(described) > _SHOWN else ""
        told = ", ".join(f"{text!r} ({n})" for text, n in described.most_common(_SHOWN))
        progress.note(f"{modality} comes from the series {told}{more}")
    number = sum(bool(choice.file) for choice in choices)
    progress.note(
        f"{number} of {len(choices)} series are used; {record} lists the modality of each series, or why it is left out"
    )


def _subjects(choices: Sequence[_Choice], images: Path, root: Path) -> list[Subject]:
    files: dict[str, dict[str, Path]] = defaultdict(dict)
    facts: dict[str, dict[str, str]] = {}
    owners: dict[str, str] = {}
    for choice in choices:
        if choice.file:
            files[choice.subject][choice.modality] = images / choice.file
            facts.setdefault(choice.subject, dict(choice.series.facts))
            owners[choice.subject] = _patient(choice.series, root)
    return [Subject(name, own, patient=owners[name], facts=facts[name]) for name, own in sorted(files.items())]
