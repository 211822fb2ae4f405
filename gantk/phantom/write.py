"""A phantom cohort on disk: NIfTI in the BraTS 2020 layout, written in parallel and atomically."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from gantk.errors import DataError, UsageError
from gantk.files import atomic_folder, checksum, read_json, sweep_partial
from gantk.phantom.anatomy import load_atlas
from gantk.phantom.subject import scan
from gantk.progress import Progress
from gantk.workers import in_processes

__all__ = ["MANIFEST", "MODALITIES", "VERSION", "damaged_subjects", "subject_id", "write_phantom"]

VERSION = 3
"""Version of the phantom's voxels; increases whenever the same seed produces different voxels."""
MODALITIES = ("flair", "t1", "t1ce", "t2")
"""The images of every subject, in addition to its segmentation."""
MANIFEST = "phantom.json"
"""The manifest in each subject's folder: generator, drawn values, and SHA-256 of its files."""


def subject_id(index: int) -> str:
    """The folder name of subject `index`, counted from 0: `BraTS20_Training_001` and so on."""
    return f"BraTS20_Training_{index + 1:03d}"


def write_phantom(
    out: Path, subjects: int, spacing: float, seed: int, progress: Progress, workers: int | None = None
) -> list[Path]:
    """Write `subjects` patients as `out/X/X_{t1,t2,flair,t1ce,seg}.nii.gz` and return their folders in order.

    Subject k depends only on (seed, k, spacing): its bytes do not depend on the cohort's size or the number of workers.
    Folders are written atomically; complete folders are kept.

    Args:
        out: folder of the cohort, created if missing.
        subjects: number of subjects, at least 1.
        spacing: isotropic voxel size, mm, 0.5 to 8.
        seed: seed of the cohort, not negative.
        progress: shows a bar.
        workers: number of processes; default: one for each CPU this process may use; 1 uses only this process.

    Raises:
        UsageError: an argument is out of range.
        DataError: `out` contains a subject of another phantom or other data, or cannot be written.
    """
    _check(subjects, spacing, seed, workers)
    out = Path(out)
    folders = [out / subject_id(index) for index in range(subjects)]
    with _disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        sweep_partial(out)
        missing = [index for index in range(subjects) if not _complete(folders[index], seed, index, spacing)]
        if missing:
            with progress.task("phantom", len(missing)) as bar:
                work = partial(_write_subject, out, seed, spacing=spacing)
                for _ in in_processes(work, [(index,) for index in missing], workers, progress):
                    bar.advance()
    return folders


def damaged_subjects(out: Path, subjects: int, spacing: float, seed: int) -> list[Path]:
    """The existing folders of these subjects that differ in any byte from what `write_phantom` wrote.

    Raises:
        OSError: a file cannot be read.
    """
    folders = [(out / subject_id(index), _identity(seed, index, spacing)) for index in range(subjects)]
    return [folder for folder, identity in folders if folder.exists() and not _intact(folder, identity)]


def _intact(folder: Path, identity: Mapping[str, Any]) -> bool:
    manifest = read_json(folder / MANIFEST)
    files = manifest.get("files")
    if not isinstance(files, dict) or not files or not identity.items() <= manifest.items():
        return False
    return all((folder / name).is_file() and checksum(folder / name) == digest for name, digest in files.items())


def _check(subjects: int, spacing: float, seed: int, workers: int | None) -> None:
    for name, good, allowed in (
        ("subjects", subjects >= 1, "at least 1"),
        ("spacing", 0.5 <= spacing <= 8, "between 0.5 and 8 mm"),
        ("seed", seed >= 0, "0 or more"),
        ("workers", workers is None or workers >= 1, "at least 1"),
    ):
        if not good:
            raise UsageError(f"the phantom's {name} must be {allowed}", where=f"phantom {name}")


def _write_subject(out: Path, seed: int, index: int, spacing: float) -> None:
    folder = out / subject_id(index)
    result = scan(seed, index, spacing, load_atlas())
    with atomic_folder(folder) as fresh:
        for modality, image in result.images.items():
            _write_nifti(fresh / f"{folder.name}_{modality}.nii.gz", image, result.affine)
        _write_nifti(fresh / f"{folder.name}_seg.nii.gz", result.labels, result.affine)
        files = {path.name: checksum(path) for path in sorted(fresh.iterdir())}
        manifest = {**_identity(seed, index, spacing), **result.facts, "files": files}
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    _complete(folder, seed, index, spacing)  # another process may have written a different phantom there


def _write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    # no time and no name in the gzip header, so that equal voxels give equal bytes
    with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
        packed.write(image.to_bytes())


def _identity(seed: int, index: int, spacing: float) -> dict[str, Any]:
    return {"phantom": VERSION, "seed": seed, "subject": index, "spacing": float(spacing)}


def _complete(folder: Path, seed: int, index: int, spacing: float) -> bool:
    """Whether the folder contains exactly this subject; raises DataError if it contains other data or is damaged."""
    if not folder.exists():
        return False
    wanted = _identity(seed, index, spacing)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = {key: manifest.get(key) for key in wanted}
    except (OSError, ValueError, AttributeError):
        found = None
    if found != wanted:
        held = "no phantom" if found is None else ", ".join(f"{k} {v}" for k, v in found.items())
        raise DataError(
            "the folder exists and contains another subject",
            where=folder,
            why=f"it holds {held}, expected is {', '.join(f'{k} {v}' for k, v in wanted.items())}",
            mend="choose an empty folder",
        )
    if not _intact(folder, wanted):
        raise DataError(
            "the phantom patient is damaged",
            where=folder,
            why=f"its files differ from the checksums in {MANIFEST}",
            mend="move this folder elsewhere, then run the same command again: it writes the same patient",
        )
    return True


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            "the phantom cannot be written",
            where=error.filename or out,
            why=error,
            mend="check free space and permissions; subjects already complete are kept",
        ) from error
