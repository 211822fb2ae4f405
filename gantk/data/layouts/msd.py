"""The Medical Segmentation Decathlon: `dataset.json`, and one 4D file per patient with all modalities."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gantk.data.layouts.scan import Scan, stem, subjects_of
from gantk.data.modalities import SEGMENTATION, canonical
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.progress import Progress

__all__ = ["msd"]

_FILE = "dataset.json"


def msd(root: Path, progress: Progress) -> list[Subject]:
    """The patients that `dataset.json` lists; patients of its test part have no segmentation.

    Volume k of a file, the k-th modality, is listed as `X.nii.gz#k`; no file is copied.

    Raises:
        DataError: there is no `dataset.json`, or it does not list modalities and patients in the Decathlon's format.
    """
    path = root / _FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        scans = list(_scans(root, told))
    except FileNotFoundError:
        raise DataError(
            f"this folder has no {_FILE}",
            where=root,
            why="this file lists the modalities and patients of the Medical Segmentation Decathlon",
            mend="name the folder of a task, such as Task01_BrainTumour, or choose another layout",
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            "this file does not list a task of the Medical Segmentation Decathlon",
            where=path,
            why=f"modality and training are expected ({type(error).__name__}: {error})",
            mend="copy it from its source again, or choose another layout",
        ) from None
    return subjects_of(scans, progress)


def _scans(root: Path, told: Mapping[str, Any]) -> Iterator[Scan]:
    names = [canonical(told["modality"][number]) for number in sorted(told["modality"], key=int)]
    for case in (*told["training"], *told.get("test", ())):
        image, label = (case, None) if isinstance(case, str) else (case["image"], case.get("label"))
        path = root / image
        patient = stem(path)
        for number, name in enumerate(names):
            yield Scan(patient, patient, name, path.with_name(f"{path.name}#{number}") if len(names) > 1 else path)
        if label is not None:
            yield Scan(patient, patient, SEGMENTATION, root / label)
