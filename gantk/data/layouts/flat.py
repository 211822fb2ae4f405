"""Layouts described by a pattern of file paths, such as `{patient}-{modality}.nii.gz`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gantk.data.cohort_table import PICTURES, SCANS, Kind
from gantk.data.layouts.scan import Scan, subjects_of
from gantk.data.modalities import canonical
from gantk.data.volumes import Subject
from gantk.errors import DataError, UsageError
from gantk.files import walk_folders
from gantk.progress import Progress

__all__ = ["flat"]

_EXAMPLE = "{patient}-{modality}.nii.gz"
_PLACES = {"patient": "[^/]+", "visit": "[^/]+?", "modality": "[^/]+?"}
_TOKEN = re.compile(r"\{(\w*)\}|(\*)")
_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<pattern>.+)")


def flat(root: Path, progress: Progress, patterns: Sequence[str]) -> list[Subject]:
    """The patients of files that match a pattern.

    Args:
        root: the data set's folder.
        progress: receives a note on files that match no pattern.
        patterns: `{patient}`, `{modality}` and, for several visits, `{visit}` stand for a part of a name, `*` for
            anything else. A pattern with a slash matches the path below the root, a pattern without a slash matches
            file names in any folder. If a pattern has the suffix of a picture (`{modality}/{patient}.png`), pictures
            are listed, else NIfTI files. `NAME=PATTERN` gives the modality of files whose names do not contain it:
            `seg=labels/{patient}.nii.gz`.

    Raises:
        UsageError: there is no pattern, or a pattern is invalid.
        DataError: no file matches, or two files are the same image.
        OSError: a folder cannot be read.
    """
    if not patterns:
        raise UsageError(
            "the layout flat needs a pattern of the file names",
            where="--pattern",
            mend=f'give one, such as --pattern "{_EXAMPLE}"',
        )
    known = [_Pattern.of(text) for text in patterns]
    kind = PICTURES if any(map(PICTURES.named, patterns)) else SCANS
    scans, others = [], []
    for file in _files(root, kind):
        scan = next((scan for pattern in known if (scan := pattern.scan(root, file)) is not None), None)
        scans += [scan] if scan is not None else []
        others += [file] if scan is None else []
    if not scans:
        raise DataError(
            "no file matches the pattern",
            where=root,
            why=f"a file is {others[0].relative_to(root).as_posix()}, but the pattern is {patterns[0]}"
            if others
            else f"there is no {kind.noun}",
            mend="correct the pattern: {patient} and {modality} stand for parts of a name, * for any text",
        )
    if others:
        more = f" and {len(others) - 1} more files" if len(others) > 1 else ""
        progress.note(f"{others[0]}{more} match no pattern and are ignored")
    return subjects_of(scans, progress)


def _files(root: Path, kind: Kind) -> Iterator[Path]:
    for _, files in walk_folders(root):
        yield from (file for file in files if kind.named(file.name))


@dataclass(frozen=True)
class _Pattern:
    """A pattern of file paths.

    Attributes:
        path: the regular expression of a path below the root, or of a file name.
        whole: whether `path` matches a path and not a name.
        modality: the modality of all matching files; empty if their names contain it.
    """

    path: re.Pattern[str]
    whole: bool
    modality: str

    @classmethod
    def of(cls, text: str) -> _Pattern:
        named = _NAMED.fullmatch(text)
        modality, text = (named["name"], named["pattern"]) if named else ("", text)
        places = [found[1] for found in _TOKEN.finditer(text) if found[1] is not None]
        wanted = {"patient"} if modality else {"patient", "modality"}
        wrong = next((place for place in places if place not in _PLACES), None)
        lacking = sorted(wanted - set(places))
        if wrong is not None or lacking or (modality and "modality" in places) or len(set(places)) != len(places):
            raise UsageError(
                f"{text!r} is not a valid pattern of file names",
                where="--pattern",
                why=f"it has no {{{lacking[0]}}}"
                if lacking
                else "it may contain {patient}, {modality} and {visit}, each only once",
                mend=f'write one such as "{_EXAMPLE}", or "t1={{patient}}/T1.nii.gz" if names lack the modality',
            )
        pattern, end = "", 0
        for token in _TOKEN.finditer(text):
            place = token[1]
            pattern += re.escape(text[end : token.start()])
            pattern += "[^/]*" if place is None else f"(?P<{place}>{_PLACES[place]})"
            end = token.end()
        return cls(re.compile(pattern + re.escape(text[end:]), re.IGNORECASE), "/" in text, modality)

    def scan(self, root: Path, file: Path) -> Scan | None:
        found = self.path.fullmatch(file.relative_to(root).as_posix() if self.whole else file.name)
        if found is None:
            return None
        parts = found.groupdict()
        subject = "_".join(filter(None, (parts["patient"], parts.get("visit"))))
        return Scan(subject, parts["patient"], canonical(self.modality or parts["modality"]), file)
