"""A phantom cohort on disk: NIfTI in the BraTS 2020 layout, written in parallel and atomically."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from gantk.data.phantom.anatomy import Atlas, load_atlas
from gantk.data.phantom.subject import scan
from gantk.errors import DataError, UsageError
from gantk.progress import Progress

__all__ = ["MANIFEST", "VERSION", "subject_id", "write_phantom"]

VERSION = 3
"""Of the phantom's appearance: grows whenever the same seed gives other voxels."""
MANIFEST = "phantom.json"
"""In each subject's folder: what made it, and what was drawn for it."""

_PARTIAL = ".partial-"
_atlas: Atlas | None = None  # of a worker process


def subject_id(index: int) -> str:
    """The folder's name of subject `index`, counted from 0: `BraTS20_Training_001` and on."""
    return f"BraTS20_Training_{index + 1:03d}"


def write_phantom(
    out: Path, subjects: int, spacing: float, seed: int, progress: Progress, workers: int | None = None
) -> list[Path]:
    """Write `subjects` patients as `out/X/X_{t1,t2,flair,t1ce,seg}.nii.gz` and return their folders in order.

    Subject k depends on (seed, k, spacing) alone: neither the cohort's size nor the workers change a byte
    of it. A folder appears when it is complete; a complete one is kept.

    Args:
        out: folder of the cohort, made where missing.
        subjects: how many, at least 1.
        spacing: isotropic voxel size, mm, 0.5 to 8.
        seed: of the cohort, not negative.
        progress: shows a bar.
        workers: processes; by default one for each CPU this process may use; 1 works in this process.

    Raises:
        UsageError: an argument is out of range.
        DataError: `out` holds a subject of another phantom or of no phantom, or cannot be written.
    """
    _check(subjects, spacing, seed, workers)
    out = Path(out)
    folders = [out / subject_id(index) for index in range(subjects)]
    with _disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        _sweep(out)
        missing = [index for index in range(subjects) if not _complete(folders[index], seed, index, spacing)]
        if missing:
            with progress.task("phantom", len(missing)) as bar:
                for _ in _write_all(out, missing, spacing, seed, workers or _cpus()):
                    bar.advance()
    return folders


def _check(subjects: int, spacing: float, seed: int, workers: int | None) -> None:
    for name, good, allowed in (
        ("subjects", subjects >= 1, "at least 1"),
        ("spacing", 0.5 <= spacing <= 8, "between 0.5 and 8 mm"),
        ("seed", seed >= 0, "0 or more"),
        ("workers", workers is None or workers >= 1, "at least 1"),
    ):
        if not good:
            raise UsageError(f"the phantom's {name} must be {allowed}", where=f"phantom {name}")


def _sweep(out: Path) -> None:
    """Remove what a killed process left behind more than an hour ago."""
    for partial in out.glob(f"{_PARTIAL}*"):
        if time.time() - partial.stat().st_mtime > 3600:
            shutil.rmtree(partial, ignore_errors=True)


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write_all(out: Path, missing: list[int], spacing: float, seed: int, workers: int) -> Iterator[None]:
    atlas = load_atlas()
    workers = min(workers, len(missing))
    if workers == 1:
        for index in missing:
            _write_subject(out, seed, index, spacing, atlas)
            yield
        return
    # spawned, not forked: the parent may run torch's threads
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(atlas,))
    try:
        jobs = [pool.submit(_work, out, seed, index, spacing) for index in missing]
        for job in as_completed(jobs):
            job.result()
            yield
    except BrokenProcessPool as error:
        raise DataError(
            "a process that wrote the phantom died",
            where=out,
            why="it may have run out of memory",
            mend="Use fewer workers; subjects already complete are kept",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(atlas: Atlas) -> None:
    global _atlas
    _atlas = atlas
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it lets the subjects under way finish


def _work(out: Path, seed: int, index: int, spacing: float) -> None:
    assert _atlas is not None
    _write_subject(out, seed, index, spacing, _atlas)


def _write_subject(out: Path, seed: int, index: int, spacing: float, atlas: Atlas) -> None:
    name = subject_id(index)
    result = scan(seed, index, spacing, atlas)
    partial = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{name}-", dir=out))
    try:
        for modality, image in result.images.items():
            _write_nifti(partial / f"{name}_{modality}.nii.gz", image, result.affine)
        _write_nifti(partial / f"{name}_seg.nii.gz", result.labels, result.affine)
        manifest = {**_identity(seed, index, spacing), **result.facts}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        partial.chmod(0o755)  # mkdtemp's are private
        try:
            partial.rename(out / name)
        except OSError:
            if not _complete(out / name, seed, index, spacing):  # another process may have been as fast
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    # no time and no name in the gzip header: equal voxels are equal bytes
    with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
        packed.write(image.to_bytes())


def _identity(seed: int, index: int, spacing: float) -> dict[str, Any]:
    return {"phantom": VERSION, "seed": seed, "subject": index, "spacing": float(spacing)}


def _complete(folder: Path, seed: int, index: int, spacing: float) -> bool:
    """Whether the folder holds this very subject; raises DataError where it holds anything else."""
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
            "the folder exists and holds another subject",
            where=folder,
            why=f"it holds {held}, wanted is {', '.join(f'{k} {v}' for k, v in wanted.items())}",
            mend="Choose an empty folder, or remove this one",
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
            why=error.strerror or error,
            mend="Check free space and permissions; subjects already complete are kept",
        ) from error
