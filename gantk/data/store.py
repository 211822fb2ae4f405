"""The slice store: volumes prepared once, in parallel, into memory-mapped slices that training reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from gantk.data.cache import cache_error
from gantk.data.dataset import Dataset, noun_of
from gantk.data.meaning import Meaning
from gantk.data.nifti import located
from gantk.data.normalisation import BACKGROUND, Scale
from gantk.data.slices import Readable, SliceSettings, categories_of, centre, placed, tell
from gantk.data.volumes import Subject
from gantk.errors import CacheError, DataError, nearest
from gantk.files import atomic_folder, checksum, sweep_partial
from gantk.progress import Progress
from gantk.workers import in_processes

__all__ = ["MINIMAL_BRAIN", "PatientSlices", "SliceSettings", "SliceStore", "prepare"]

FORMAT = 7  # raise it whenever the same files and settings give other slices
MINIMAL_BRAIN = 100.0  # mm²: a slice with less brain than 1 cm² inside the crop is not kept
_ARRAYS = ("images.npy", "segmentation.npy")
_NOTED = 1e-3  # of a voxel: grids that differ by more are told
_PARSING = Lock()  # NumPy parses headers with `ast`, which fails at random in threads of Python 3.11 (gh-106905)
_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)


class PatientSlices:
    """One patient's prepared slices with brain, from inferior to superior, read from memory-mapped files.

    What is stored is raw: intensities as 16-bit codes on each image's own scale (0 is the background, exactly -1, and
    1 to 65535 span (-1, 1]), and the segmentation's own labels. What they mean is decided over the cohort.

    Attributes:
        id: the patient.
        z: (S,) index of each slice in the LPS volume.
        tumour: bool (S,), any tumour label in the slice.
        core: bool (S,), a label of the tumour core in the slice.
        tumour_area: (S,) pixels with a tumour label.
        brain_area: (S,) pixels with brain.
        modalities: those that are present.
        channels: planes of one modality's image.
        pixels: of a slice.
        scales: modality -> the image's own map from scanner units.
        negative: modality -> which part of its foreground is negative, where its unit is to be recognized.
        remarks: what a user must be told of how the files were read -> the file or patient that shows it.
        labels: those above 0 that the whole segmentation holds, as in its file.
        has_segmentation: whether the patient has one.
        checksum: of all that is stored of the patient, 64 hex digits.

    Args:
        folder: where it is stored.
        meaning: of intensities and labels.

    Raises:
        CacheError: the folder is damaged, as far as can be told without reading the images; see `verify`.
    """

    def __init__(self, folder: Path, meaning: Meaning = Meaning()) -> None:
        self.folder, self.meaning = folder, meaning
        try:
            stored = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            meta = stored["meta"]
            self.checksum: str = stored["checksum"]
            if self.checksum != _hash(meta):
                raise ValueError("meta.json differs from its checksum")
            self._files: dict[str, str] = meta["files"]
            self.id: str = meta["id"]
            self.modalities: tuple[str, ...] = tuple(meta["modalities"])
            self.scales = {name: Scale.from_dict(scale) for name, scale in meta["scales"].items()}
            self.negative: dict[str, float] = meta["negative"]
            self.remarks: dict[str, str] = meta["remarks"]
            self.labels: tuple[int, ...] = tuple(meta["labels"])
            self.has_segmentation: bool = meta["has_segmentation"]
            self.channels: int = meta["channels"]
            self.z = np.array(meta["z"], np.int64)
            self.brain_area = np.array(meta["brain_area"], np.int64)
            areas = {int(label): np.array(area, np.int64) for label, area in meta["label_area"].items()}
            self.tumour_area = _area(areas, meaning.labels.tumour, len(self.z))
            self.tumour = self.tumour_area > 0
            self.core = _area(areas, meaning.labels.core, len(self.z)) > 0
            height, width = meta["crop"]
            self.pixels: int = height * width
            shape = (len(self.z), len(self.modalities) * self.channels, height, width)
            _check(folder / "images.npy", shape, np.uint16)
            _check(folder / "segmentation.npy", (shape[0], *shape[2:]), np.uint8)
        except _DAMAGED as error:
            raise _damaged(folder, error) from error

    def __len__(self) -> int:
        return len(self.z)

    def verify(self) -> None:
        """Read everything that is stored and compare it with its checksums.

        Raises:
            CacheError: it is not what was stored.
        """
        for name in _ARRAYS:
            try:
                same = checksum(self.folder / name) == self._files[name]
            except _DAMAGED as error:
                raise _damaged(self.folder, error) from error
            if not same:
                raise _damaged(self.folder, f"{name} differs from its checksum")

    def meant(self, meaning: Meaning) -> PatientSlices:
        """The same slices, understood otherwise."""
        return PatientSlices(self.folder, meaning)

    def images(self, rows: Sequence[int] | np.ndarray, modalities: Sequence[str]) -> np.ndarray:
        """Slices of some modalities, float32 (len(rows), M·channels, H, W) in [-1, 1], background exactly -1.

        Raises:
            DataError: the patient has no such modality.
        """
        try:
            places = np.array([self.modalities.index(name) for name in modalities], int)
        except ValueError:
            lacking = next(name for name in modalities if name not in self.modalities)
            raise DataError(f"{self.id!r} has no {lacking!r} image", why=nearest(lacking, self.modalities)) from None
        planes = (places[:, None] * self.channels + np.arange(self.channels)).ravel()
        codes = _map(self.folder / "images.npy")[np.ix_(np.asarray(rows, int), planes)]
        images = np.empty(codes.shape, np.float32)
        for place, name in enumerate(modalities):
            own = self.scales[name]
            shown = self.meaning.scale(name, own)
            values = _values() if shown == own else _decoding(own, shown)
            image = np.s_[:, place * self.channels : (place + 1) * self.channels]
            images[image] = values[codes[image]]
        return images

    def categories(self, rows: Sequence[int] | np.ndarray, modality: str) -> np.ndarray:
        """The numbers of a modality that holds categories, int64 (len(rows), H, W); outside the foreground the first.

        Raises as `images` does.
        """
        return categories_of(self.images(rows, [modality])[:, 0], self.scales[modality])

    def segmentation(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Canonical labels, uint8 (len(rows), H, W); zeros where the patient has no segmentation."""
        return self.meaning.labels.canonical(_map(self.folder / "segmentation.npy")[np.asarray(rows, int)])


class SliceStore(Mapping[str, PatientSlices]):
    """The prepared patients by id.

    Attributes:
        settings: what shaped the slices.
        noun: what one of them is called.
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
        """The same patients, with intensities and labels understood so."""
        return SliceStore(self.settings, {name: patient.meant(meaning) for name, patient in self.items()}, self.noun)


def prepare(
    dataset: Dataset,
    subjects: Sequence[Subject],
    settings: SliceSettings,
    inputs: Sequence[str],
    *,
    cache: Path,
    workers: int,
    progress: Progress,
) -> SliceStore:
    """The slices of these subjects, prepared in parallel where the cache does not hold them yet.

    Each patient has a folder in `cache/slices`, named by a key over everything that influences it, which
    appears complete or not at all, with checksums. So interrupting is harmless; a folder that was there is read and
    verified, and made again if it is damaged.

    Args:
        dataset: reads the volumes; must pickle.
        subjects: patients with inputs, or with targets alone.
        settings: shape of the slices; its modalities contain the inputs.
        inputs: the modalities in which the brain is found; where a patient has none, in the targets.
        cache: cache folder, see `gantk_cache_dir`.
        workers: processes; 1 prepares in this process.
        progress: shows patients done.

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
        ThreadPoolExecutor(max(1, workers)) as threads,  # checksums are computed without Python's lock
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


def _prepare_patient(
    dataset: Dataset, subject: Subject, folder: Path, *, settings: SliceSettings, inputs: tuple[str, ...]
) -> str:
    """Read and store one patient; its id."""
    present = [name for name in settings.modalities if name in subject.files]
    inputs = tuple(name for name in inputs if name in present) or tuple(present)  # or targets alone
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
            mend="Choose a larger data.crop, or check that the images are skull-stripped and centred",
        )
    stacks = [slices.images[name] for name in present]
    by_channel = [stack.reshape(len(stack), -1, *stack.shape[-2:]) for stack in stacks]
    codes = np.concatenate([_encode(centre(image[kept], settings.crop, BACKGROUND)) for image in by_channel], 1)
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
    return {"Images that belong together lie apart, and the first one counts": f"{subject.id} ({most:.2g} voxels)"}


def _labels(segmentation: np.ndarray) -> list[int]:
    """The labels above 0."""
    return [int(label) for label in np.unique(segmentation) if label]


def _area(areas: Mapping[int, np.ndarray], labels: Iterable[int], slices: int) -> np.ndarray:
    """Pixels with one of these labels, (S,), of the pixels with each."""
    return sum((areas[label] for label in labels if label in areas), np.zeros(slices, np.int64))


def _write(folder: Path, images: np.ndarray, labels: np.ndarray, meta: Mapping[str, Any]) -> None:
    try:
        with atomic_folder(folder, sync=False) as temporary:
            for name, array in zip(_ARRAYS, (images, labels), strict=True):
                np.save(temporary / name, array)
            meta = {**meta, "files": {name: checksum(temporary / name) for name in _ARRAYS}}
            stored = {"meta": meta, "checksum": _hash(meta)}
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
    """What the cache holds under this key; a damaged folder is removed."""
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
        progress.note(f"{folder} is damaged and made again")
        try:
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
        except OSError as why:
            raise CacheError(
                "this prepared patient is damaged and cannot be removed",
                where=folder,
                why=why.strerror or why,
                mend="Delete the folder, or set GANTK_CACHE to another one",
            ) from error
        return None


def _key(dataset: Dataset, subject: Subject, settings: SliceSettings, inputs: Iterable[str]) -> str:
    """A hash over everything that influences a patient's slices."""
    read = dict.fromkeys((*settings.modalities, settings.mask))
    files = {name: _identity(subject.files[name]) for name in read if name is not None and name in subject.files}
    shape = asdict(replace(settings, intensities={}))
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
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:32]


def _identity(path: Path) -> tuple[str, int, int]:
    file, number = located(path)
    try:
        stat = file.stat()
    except OSError as error:
        raise DataError("this file cannot be read", where=path, why=error.strerror, mend="Check the path") from error
    volume = "" if number is None else f"#{number}"
    return f"{file.resolve()}{volume}", stat.st_size, stat.st_mtime_ns


def _hash(meta: Mapping[str, Any]) -> str:
    """The checksum of what is known of a patient, that of its arrays among it."""
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _damaged(folder: Path, why: object) -> CacheError:
    return CacheError(f"this prepared patient cannot be read ({why})", where=folder, mend="Delete it, it is made again")


def _encode(v: np.ndarray) -> np.ndarray:
    """[-1, 1] to codes 0 to 65535."""
    return np.rint((v + 1) * np.float32(32767.5)).astype(np.uint16)


@lru_cache(maxsize=1)
def _values() -> np.ndarray:
    """The value of each code, float32 (65536,): exact at both ends."""
    return (-1 + 2 * np.arange(65536) / 65535).astype(np.float32)


@lru_cache(maxsize=128)
def _decoding(own: Scale, to: Scale) -> np.ndarray:
    """The value of each code of an image on its own scale, on the scale that it is shown on: float32 (65536,)."""
    return own.moved(_values(), to)


def _load(path: Path) -> np.ndarray:
    with _PARSING:
        return np.load(path, mmap_mode="r")


_map = lru_cache(maxsize=128)(_load)  # each map holds a file descriptor, of which a process has about a thousand


def _check(path: Path, shape: tuple[int, ...], dtype: type) -> None:
    """Raise `ValueError` or `OSError` unless the file holds this array, complete."""
    array = _load(path)
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape} where {np.dtype(dtype)} {shape} is expected")
