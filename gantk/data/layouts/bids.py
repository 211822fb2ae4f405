"""BIDS, the Brain Imaging Data Structure: `sub-01/[ses-1/]anat/sub-01_[ses-1_]ce-gadolinium_T1w.nii.gz`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from gantk.data.layouts.scan import Scan, subjects_of
from gantk.data.modalities import MASK, SEGMENTATION, canonical
from gantk.data.volumes import Subject
from gantk.files import walk_folders
from gantk.progress import Progress

__all__ = ["bids", "derivative_name", "is_bids"]

_NAME = re.compile(
    r"(?P<patient>sub-[^_]+)(?:_(?P<visit>ses-[^_]+))?(?P<entities>(?:_[^_-]+-[^_]+)*)_(?P<suffix>[^_-]+)\.nii(?:\.gz)?"
)
_BRAIN = ("brain", "head")  # masks of these are not segmentations
_SUBJECT = re.compile(r"(?P<patient>sub-[A-Za-z0-9]+)(?:_(?P<visit>ses-[A-Za-z0-9]+))?")
_WRITTEN = {"t1": "T1w", "t2": "T2w", "flair": "FLAIR", "t1ce": "T1w"}


def is_bids(root: Path) -> bool:
    """Whether a folder contains subjects in the BIDS layout."""
    return any(next(root.glob(pattern), None) for pattern in ("sub-*/anat", "sub-*/ses-*/anat"))


def derivative_name(subject: Subject, modality: str, description: str) -> str | None:
    """The path, below a derivative's folder, of an image made for a subject, without suffix.

    Args:
        subject: the subject whose images it was made from.
        modality: the modality's name in tables.
        description: the BIDS entity `desc`, letters and digits.

    Returns:
        Such as `sub-01/anat/sub-01_ce-gadolinium_desc-synthetic_T1w`; None if the subject's files have no BIDS names.
    """
    found = _SUBJECT.fullmatch(subject.id)
    if found is None or not any(_NAME.fullmatch(file.name) for file in subject.files.values()):
        return None
    folders = [part for part in (found["patient"], found["visit"]) if part]
    contrast = ["ce-gadolinium"] if modality == "t1ce" else []
    suffix = _WRITTEN.get(modality) or re.sub("[^A-Za-z0-9]", "", modality)
    return "/".join([*folders, "anat", "_".join([*folders, *contrast, f"desc-{description}", suffix])])


def bids(root: Path, progress: Progress) -> list[Subject]:
    """The subjects and sessions with images in folders `anat`, with facts from `participants.tsv`.

    `T1w`, `T2w` and `FLAIR` are t1, t2 and flair; a T1w with the entity `ce` is t1ce. `dseg`, or a `mask` of anything
    but the brain, is the segmentation. From derivatives, masks and segmentations on the images' own grid are used.

    Raises:
        DataError: two files are the same image.
        OSError: a folder cannot be read.
    """
    return subjects_of(_scans(root), progress, _participants(root / "participants.tsv"))


def _scans(root: Path) -> Iterator[Scan]:
    for folder, files in walk_folders(root):
        if folder.name != "anat":
            continue
        derived = "derivatives" in folder.relative_to(root).parts
        for file in files:
            if found := _NAME.fullmatch(file.name):
                entities = dict(entity.split("-", 1) for entity in found["entities"].split("_") if entity)
                modality = _modality(found["suffix"], entities)
                if derived and (modality not in (MASK, SEGMENTATION) or "space" in entities):
                    continue
                subject = "_".join(filter(None, (found["patient"], found["visit"])))
                detail = "_".join(f"{key}-{value}" for key, value in entities.items() if key != "ce")
                yield Scan(subject, found["patient"], modality, file, detail)


def _modality(suffix: str, entities: dict[str, str]) -> str:
    if suffix == "dseg":
        return SEGMENTATION
    if suffix == "mask":
        what = entities.get("label", entities.get("desc", _BRAIN[0])).lower()
        return MASK if what in _BRAIN else SEGMENTATION
    name = canonical(suffix)
    return f"{name}ce" if "ce" in entities else name


def _participants(path: Path) -> dict[str, dict[str, str]]:
    """The facts of each participant, such as site, age and sex; empty if there is no such file."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t", restval=""))
    return {
        name: {key: value.strip() for key, value in row.items() if isinstance(value, str) and key}
        for row in rows
        if (name := row.pop("participant_id", None))
    }
