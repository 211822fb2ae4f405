"""The slice store: prepares volumes once, in parallel, as slices for training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gantk.data.cache import cache_error
from gantk.data.dataset import Dataset, noun_of
from gantk.data.meaning import Meaning
from gantk.data.nifti import located
from gantk.data.normalisation import BACKGROUND
from gantk.data.planes import centre
from gantk.data.prepared import ARRAYS, PatientSlices, encode
from gantk.data.slices import Readable, SliceSettings, placed, tell
from gantk.data.volumes import Subject
from gantk.errors import CacheError, DataError
from gantk.files import atomic_folder, checksum, checksum_of, sweep_partial
from gantk.progress import Progress
from gantk.workers import in_processes

__all__ = ["MINIMAL_BRAIN", "SliceSettings", "SliceStore", "damaged_patients", "prepare"]

FORMAT = 7  # increase whenever the same files and settings produce different slices
MINIMAL_BRAIN = 100.0  # mm²: a slice with less brain than 1 cm² inside the crop is not kept
_NOTED = 1e-3  # grids that differ by more than this fraction of a voxel are reported


class SliceStore(Mapping[str, PatientSlices]):
    """The prepared patients by id.

    Attributes:
        settings: the settings that determined the slices.
        noun: the word for one subject.
    """

    def __init__(self, settings: SliceSettings, patients: Mapping[str, PatientSlices], noun: str = "patient") -> None:
        self.settings, self.noun = settings, noun
        self._patients = dict(patients)

    def __getitem__(self, patient: str) -> PatientSlices:
        return self._patients[patient]

    def __iter__(self) -> Iterator[str]:
        return iter(self._patients)

    def __len__(self) -> int:
        return len(self._patients)

    def meant(self, meaning: Meaning) -> SliceStore:
        """The same patients, with this meaning of intensities and labels."""
        return SliceStore(self.settings, {name: patient.meant(meaning) for name, patient in self.items()}, self.noun)


def prepare(
    dataset: Dataset,
    subjects: Sequence[Subject],
    settings: SliceSettings,
    inputs: Sequence[str],
    *,
    cache: Path,
    progress: Progress,
    workers: int | None = None,
) -> SliceStore:
    """The slices of these subjects; those missing from the cache are prepared in parallel.

    Each patient has a folder in `cache/slices`, named by a hash of everything that influences its contents. The folder
    is created atomically, with checksums, so that an interruption is harmless. An existing folder is read and verified,
    and rebuilt if it is damaged.

    Args:
        dataset: reads the volumes; must pickle.
        subjects: patients with inputs, or with only targets.
        settings: the settings of the slices; its modalities contain the inputs.
        inputs: the modalities in which the brain is found; if a patient has none of them, the targets.
        cache: cache folder, see `gantk_cache_dir`.
        progress: shows the number of patients done.
        workers: processes, 1 prepares in this process; default: one per core that this process may use.

    Raises:
        DataError: a patient's files cannot be used.
        CacheError: the cache cannot be read or written.
    """
    root = cache / "slices"
    sweep_partial(root)
    folders = {subject.id: root / _key(dataset, subject, settings, inputs) for subject in subjects}
    done: dict[str, PatientSlices] = {}
    with (
        progress.task("Checking slices", total=len(folders)) as bar,
        ThreadPoolExecutor(workers) as threads,  # checksums are computed without Python's lock
    ):
        stored = threads.map(partial(_stored, progress=progress), folders.values())
        for name, slices in zip(folders, stored, strict=True):
            if slices is not None:
                done[name] = slices
            bar.advance()
    missing = [subject for subject in subjects if subject.id not in done]
    if missing:
        work = partial(_prepare_patient, dataset, settings=settings, inputs=tuple(inputs))
        jobs = [(subject, folders[subject.id]) for subject in missing]
        with progress.task("Preparing slices", total=len(jobs)) as bar:
            for name in in_processes(work, jobs, workers, progress):
                done[name] = PatientSlices(folders[name])
                bar.advance()
    tell(progress, (slices.remarks for slices in done.values()))
    return SliceStore(settings, {subject.id: done[subject.id] for subject in subjects}, noun_of(dataset))


def damaged_patients(cache: Path, progress: Progress) -> tuple[int, list[Path]]:
    """Read all prepared patients in a cache, from any cohort, and compare them with their checksums.

    Args:
        cache: cache folder, see `gantk_cache_dir`.
        progress: shows the number of patients done.

    Returns:
        The number of patients, and the folders of damaged patients.
    """
    root = cache / "slices"
    folders = sorted(root.glob("[!.]*")) if root.is_dir() else []  # unfinished folders begin with a dot
    with progress.task("Checking slices", total=len(folders)) as bar, ThreadPoolExecutor() as threads:
        found = []
        for folder, whole in zip(folders, threads.map(_is_whole, folders), strict=True):
            found += [] if whole else [folder]
            bar.advance()
    return len(folders), found


def _is_whole(folder: Path) -> bool:
    try:
        PatientSlices(folder).verify()
    except CacheError:
        return False
    return True


def _prepare_patient(
    dataset: Dataset, subject: Subject, folder: Path, *, settings: SliceSettings, inputs: tuple[str, ...]
) -> str:
    """Read and store one patient; return its id."""
    present = [name for name in settings.modalities if name in subject.files]
    inputs = tuple(name for name in inputs if name in present) or tuple(present)  # or only targets
    images = dataset.read(subject, [*present, *(() if settings.mask in (None, *present) else [settings.mask])])
    try:
        slices = images.slices(inputs, settings)
    except DataError as error:
        raise placed(error, subject, noun_of(dataset)) from None
    foreground = centre(slices.foreground, settings.crop)
    brain_area = foreground.sum((1, 2))
    kept = np.flatnonzero(brain_area >= (1 if slices.pixel is None else MINIMAL_BRAIN / slices.pixel))
    if not kept.size:
        raise DataError(
            f"{noun_of(dataset)} {subject.id!r} has no slice with at least {MINIMAL_BRAIN / 100:g} cm² of brain",
            where=subject.folder,
            why=f"inside the crop of {settings.crop[0]} × {settings.crop[1]} pixels",
            mend="choose a larger data.crop, or check that the images are skull-stripped and centered",
        )
    if settings.whole:
        if slices.pixel is None:
            raise DataError(
                f"a {noun_of(dataset)} has no third dimension",
                where=subject.folder,
                why="data.dimensions = 3",
                mend="set data.dimensions = 2, or choose a dataset of volumes",
            )
        kept = np.arange(kept[0], kept[-1] + 1)
    stacks = [slices.images[name] for name in present]
    by_channel = [stack.reshape(len(stack), -1, *stack.shape[-2:]) for stack in stacks]
    codes = np.concatenate([encode(centre(image[kept], settings.crop, BACKGROUND)) for image in by_channel], 1)
    codes *= foreground[kept, None]
    np.maximum(codes, foreground[kept, None], out=codes, casting="unsafe")
    if slices.segmentation is None:
        labels = np.zeros((len(kept), *settings.crop), np.uint8)
    else:
        labels = centre(slices.segmentation[kept], settings.crop)
    meta = {
        "id": subject.id,
        "modalities": present,
        "channels": by_channel[0].shape[1],
        "crop": settings.crop,
        "scales": {name: scale.to_dict() for name, scale in slices.scales.items()},
        "negative": slices.negative,
        "remarks": {told: str(subject.files.get(example, example)) for told, example in slices.remarks.items()}
        | _apart(images, subject),
        "has_segmentation": slices.segmentation is not None,
        "labels": [] if slices.segmentation is None else _labels(slices.segmentation),
        "z": kept.tolist(),
        "label_area": {str(label): (labels == label).sum((1, 2)).tolist() for label in _labels(labels)},
        "brain_area": brain_area[kept].tolist(),
    }
    _write(folder, codes, labels, meta)
    return subject.id


def _apart(images: Readable, subject: Subject) -> dict[str, str]:
    """The remark that the grids of a subject's files differ."""
    most = getattr(images, "grid_difference", 0.0)
    if most <= _NOTED:
        return {}
    return {"The images differ in position, and the first image is the reference": f"{subject.id} ({most:.2g} voxels)"}


def _labels(segmentation: np.ndarray) -> list[int]:
    """The labels above 0."""
    return [int(label) for label in np.unique(segmentation) if label]


def _write(folder: Path, images: np.ndarray, labels: np.ndarray, meta: Mapping[str, Any]) -> None:
    try:
        with atomic_folder(folder, sync=False) as temporary:
            for name, array in zip(ARRAYS, (images, labels), strict=True):
                np.save(temporary / name, array)
            meta = {**meta, "files": {name: checksum(temporary / name) for name in ARRAYS}}
            stored = {"meta": meta, "checksum": checksum_of(meta)}
            (temporary / "meta.json").write_text(json.dumps(stored), encoding="utf-8")
    except OSError as error:
        # NumPy reports a full disk without its error number
        raise cache_error(error, folder.parent, full=_room(folder.parent) < images.nbytes) from error


def _room(folder: Path) -> float:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return float("inf")


def _stored(folder: Path, progress: Progress) -> PatientSlices | None:
    """The patient in this folder of the cache, if it exists; a damaged folder is removed."""
    try:
        if not folder.exists():
            return None
    except OSError as error:
        raise cache_error(error, folder.parent) from error
    try:
        patient = PatientSlices(folder)
        patient.verify()
        return patient
    except CacheError as error:
        progress.note(f"{folder} is damaged and will be rebuilt")
        try:
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
        except OSError as why:
            raise CacheError(
                "this prepared patient is damaged and cannot be removed",
                where=folder,
                why=why.strerror or why,
                mend="delete the folder, or set GANTK_CACHE to another folder",
            ) from error
        return None


def _key(dataset: Dataset, subject: Subject, settings: SliceSettings, inputs: Iterable[str]) -> str:
    """A hash over everything that influences a patient's slices."""
    read = dict.fromkeys((*settings.modalities, settings.mask))
    files = {name: _identity(subject.files[name]) for name in read if name is not None and name in subject.files}
    shape = asdict(replace(settings, intensities={}))
    if not settings.whole and settings.plane == "axial":  # as in older versions, which had no other settings
        del shape["whole"], shape["plane"]
    record = {
        "format": FORMAT,
        "reader": f"{type(dataset).__module__}.{type(dataset).__qualname__}",
        "reading": getattr(dataset, "reading", None),
        "id": subject.id,
        "files": files,
        "segmentation": subject.segmentation and _identity(subject.segmentation),
        "settings": shape,
        "intensities": {
            name: [given.background, given.range, *(["categories"] if given.categories else [])]
            for name, given in settings.intensities.items()
        },
        "inputs": list(inputs),
    }
    return checksum_of(record)[:32]


def _identity(path: Path) -> tuple[str, int, int]:
    file, number = located(path)
    try:
        stat = file.stat()
    except OSError as error:
        raise DataError("this file cannot be read", where=path, why=error.strerror, mend="check the path") from error
    volume = "" if number is None else f"#{number}"
    return f"{file.resolve()}{volume}", stat.st_size, stat.st_mtime_ns
