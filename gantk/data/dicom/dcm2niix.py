"""DICOM series by dcm2niix: read from the sidecars that it writes, and converted by it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from gantk.data.dicom.series import Job, Series
from gantk.files import atomic_write, walk_folders
from gantk.progress import Progress

__all__ = ["Dcm2niix"]

_FACTS = {
    "sex": "PatientSex",
    "age": "PatientAge",
    "site": "InstitutionName",
    "scanner": "ManufacturersModelName",
    "field_strength": "MagneticFieldStrength",
}
_MENDED = ("_Eq", "_Tilt")  # what it adds to the name of a volume whose slices it has put right


class Dcm2niix:
    """Reads and converts by the program dcm2niix, folder by folder.

    Args:
        program: its file.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        said = self._run("--version").split()
        self.name = f"dcm2niix {next((word for word in said if word.startswith('v1')), '')}".strip()

    def series(self, root: Path, progress: Progress) -> list[Series]:
        """All series below a folder, by the sidecars of their files."""
        folders = [folder for folder, files in walk_folders(root) if files]
        found: list[Series] = []
        with progress.task("Reading headers", len(folders)) as bar:
            for folder in folders:
                with tempfile.TemporaryDirectory(prefix="gantk-") as temporary:
                    self._run("-b", "o", "-ba", "n", *_WAYS, "-o", temporary, str(folder))
                    for file in sorted(Path(temporary).glob("*.json")):
                        found.append(_series(file.stem, folder, json.loads(file.read_text(errors="replace"))))
                bar.advance()
        return sorted(found, key=lambda one: (one.patient, one.study, one.number, one.key))

    def convert(self, jobs: Sequence[Job]) -> Iterator[tuple[Series, str]]:
        """Write series; a folder is converted once for all of its series that are wanted."""
        folders: dict[Path, list[Job]] = defaultdict(list)
        for series, path in jobs:
            folders[series.folder].append((series, path))
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for done in as_completed([pool.submit(self._convert, *item) for item in folders.items()]):
                yield from done.result()

    def _convert(self, folder: Path, jobs: Sequence[Job]) -> list[tuple[Series, str]]:
        with tempfile.TemporaryDirectory(prefix="gantk-") as temporary:
            said = self._run("-b", "n", "-z", "y", *_WAYS, "-o", temporary, str(folder))
            made = {file.name.removesuffix(".nii.gz"): file for file in Path(temporary).glob("*.nii.gz")}
            return [(series, _take(made, series.key, path, said)) for series, path in jobs]

    def _run(self, *options: str) -> str:
        done = subprocess.run([self.program, *options], capture_output=True, text=True, errors="replace", check=False)
        return done.stdout + done.stderr


_WAYS = ("-d", "0", "-w", "2", "-f", "%j")


def _take(made: Mapping[str, Path], key: str, path: Path, said: str) -> str:
    """Move a converted file to its place."""
    names = [name for name in made if name == key or any(name.startswith(key + end) for end in _MENDED)]
    if not names:
        told = [line for line in said.splitlines() if "error" in line.lower()]
        return told[-1].strip() if told else "dcm2niix made no volume of it"
    try:
        with atomic_write(path) as temporary:
            shutil.copyfile(made[max(names, key=len)], temporary)
    except OSError as error:
        return str(error.strerror or error)
    return ""


def _series(key: str, folder: Path, told: Mapping[str, Any]) -> Series:
    thickness = told.get("SpacingBetweenSlices", told.get("SliceThickness"))
    return Series(
        key=key,
        patient=str(told.get("PatientID", "")),
        study=str(told.get("StudyInstanceUID", "")),
        date=str(told.get("AcquisitionDateTime", ""))[:10].replace("-", ""),
        number=int(told.get("SeriesNumber", 0)),
        description=str(told.get("SeriesDescription", "")),
        protocol=str(told.get("ProtocolName", "")),
        kind=str(told.get("Modality", "MR")),
        agent=str(told.get("ContrastBolusIngredient", "")),
        image_type=tuple(map(str, told.get("ImageType", ()))),
        folder=folder,
        side=float(thickness) if isinstance(thickness, int | float) else None,
        facts={name: str(told[key]) for name, key in _FACTS.items() if told.get(key) not in (None, "")},
    )
