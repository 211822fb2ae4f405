"""The slice store: volumes prepared once, in parallel, into memory-mapped slices that training reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from gantk.data.cache import cache_error
from gantk.data.dataset import Dataset
from gantk.data.normalisation import BACKGROUND, Scale
from gantk.data.slices import SliceSettings, centre
from gantk.data.volumes import Subject
from gantk.errors import CacheError, DataError, nearest
from gantk.files import atomic_folder, sweep_partial
from gantk.progress import Progress
from gantk.workers import in_processes

__all__ = ["MINIMAL_BRAIN", "PatientSlices", "SliceSettings", "SliceStore", "prepare"]

FORMAT = 4  # raise it whenever the same files and settings give other slices
MINIMAL_BRAIN = 100.0  # mm²: a slice with less brain than 1 cm² inside the crop is not kept
_CORE = (1, 4)  # BraTS's tumour core: necrosis or non-enhancing, and enhancing
_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)


class PatientSlices:
    """One patient's prepared slices with brain, from inferior to superior, read from memory-mapped files.

    Intensities are stored as 16-bit codes: 0 is the background, exactly -1, and 1 to 65535 span (-1, 1].

    Attributes:
        id: the patient.
        z: (S,) index of each slice in the LPS volume.
        tumour: bool (S,), any tumour label in the slice.
        core: bool (S,), label 1 or 4 in the slice.
        tumour_area: (S,) pixels with a tumour label.
        brain_area: (S,) pixels with brain.
        modalities: those that are present.
        channels: planes of one modality's image.
        pixels: of a slice.
        scales: modality -> its map from scanner units.
        has_segmentation: whether the patient has one.

    Raises:
        CacheError: the folder is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            self.id: str = meta["id"]
            self.modalities: tuple[str, ...] = tuple(meta["modalities"])
            self.scales = {name: Scale.from_dict(scale) for name, scale in meta["scales"].items()}
            self.has_segmentation: bool = meta["has_segmentation"]
            self.channels: int = meta["channels"]
            self.z = np.array(meta["z"], np.int64)
            self.tumour_area = np.array(meta["tumour_area"], np.int64)
            self.brain_area = np.array(meta["brain_area"], np.int64)
            self.core = np.array(meta["core"], bool)
            self.tumour = self.tumour_area > 0
            height, width = meta["crop"]
            self.pixels: int = height * width
            shape = (len(self.z), len(self.modalities) * self.channels, height, width)
            _check(folder / "images.npy", shape, np.uint16)
            _check(folder / "segmentation.npy", (shape[0], *shape[2:]), np.uint8)
        except _DAMAGED as error:
            raise CacheError(
                f"this prepared patient cannot be read ({error})",
                where=folder,
                mend="Delete the folder, it is made again",
            ) from error

    def __len__(self) -> int:
        return len(self.z)

    def images(self, rows: Sequence[int] | np.ndarray, modalities: Sequence[str]) -> np.ndarray:
        """Slices of some modalities, float32 (len(rows), M·channels, H, W) in [-1, 1], background exactly -1.

        Raises:
            DataError: the patient has no such modality.
        """
        try:
            places = np.array([self.modalities.index(name) for name in modalities], int)
        except ValueError:
            lacking = next(name for name in modalities if name not in self.modalities)
            raise DataError(
                f"patient {self.id!r} has no {lacking!r} image", why=nearest(lacking, self.modalities)
            ) from None
        planes = (places[:, None] * self.channels + np.arange(self.channels)).ravel()
        return _decoding()[_map(self.folder / "images.npy")[np.ix_(np.asarray(rows, int), planes)]]

    def segmentation(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Labels, uint8 (len(rows), H, W); zeros where the patient has no segmentation."""
        return np.array(_map(self.folder / "segmentation.npy")[np.asarray(rows, int)])


class SliceStore(Mapping[str, PatientSlices]):
    """The prepared patients by id.

    Attributes:
        settings: what shaped the slices.
    """

    def __init__(self, settings: SliceSettings, patients: Mapping[str, PatientSlices]) -> None:
        self.settings = settings
        self._patients = dict(patients)

    def __getitem__(self, patient: str) -> PatientSlices:
        return self._patients[patient]

    def __iter__(self) -> Iterator[str]:
        return iter(self._patients)

    def __len__(self) -> int:
        return len(self._patients)


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
    appears complete or not at all. So interrupting is harmless, and a damaged folder is made again.

    Args:
        dataset: reads the volumes; must pickle.
        subjects: patients, each with all inputs, or with targets alone.
        settings: shape of the slices; its modalities contain the inputs.
        inputs: the modalities whose nonzero voxels are the brain; where a patient has none, the targets are.
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
    for name, folder in folders.items():
        slices = _stored(folder, progress)
        if slices is not None:
            done[name] = slices
    missing = [subject for subject in subjects if subject.id not in done]
    if missing:
        work = partial(_prepare_patient, dataset, settings=settings, inputs=tuple(inputs))
        jobs = [(subject, folders[subject.id]) for subject in missing]
        with progress.task("Preparing slices", total=len(jobs)) as bar:
            for name in in_processes(work, jobs, workers, progress):
                done[name] = PatientSlices(folders[name])
                bar.advance()
    return SliceStore(settings, {subject.id: done[subject.id] for subject in subjects})


def _prepare_patient(
    dataset: Dataset, subject: Subject, folder: Path, *, settings: SliceSettings, inputs: tuple[str, ...]
) -> str:
    """Read, normalise and store one patient; its id."""
    if set(subject.files) <= set(settings.modalities) - set(inputs):  # targets alone
        inputs = tuple(subject.files)
    present = [name for name in settings.modalities if name in subject.files or name in inputs]
    images = dataset.read(subject, present)
    try:
        slices = images.slices(inputs, settings)
    except DataError as error:
        raise DataError(f"patient {subject.id!r}: {error.what}", where=_where(subject), mend=error.mend) from None
    foreground = centre(slices.foreground, settings.crop)
    brain_area = foreground.sum((1, 2))
    kept = np.flatnonzero(brain_area >= (1 if slices.pixel is None else MINIMAL_BRAIN / slices.pixel))
    if not kept.size:
        raise DataError(
            f"patient {subject.id!r} has no slice with at least {MINIMAL_BRAIN / 100:g} cm² of brain",
            where=_where(subject),
            why=f"inside the crop of {settings.crop[0]} × {settings.crop[1]} pixels",
            mend="Choose a larger data.crop, or check that the images are skull-stripped and centred",
        )
    by_channel = [image.reshape(len(image), -1, *image.shape[-2:]) for image in slices.images.values()]
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
        "has_segmentation": slices.segmentation is not None,
        "z": kept.tolist(),
        "tumour_area": (labels > 0).sum((1, 2)).tolist(),
        "core": np.isin(labels, _CORE).any((1, 2)).tolist(),
        "brain_area": brain_area[kept].tolist(),
    }
    _write(folder, codes, labels, meta)
    return subject.id


def _write(folder: Path, images: np.ndarray, labels: np.ndarray, meta: Mapping[str, Any]) -> None:
    try:
        with atomic_folder(folder, sync=False) as temporary:
            np.save(temporary / "images.npy", images)
            np.save(temporary / "segmentation.npy", labels)
            (temporary / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
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
        return PatientSlices(folder)
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
    files = {name: _identity(subject.files[name]) for name in settings.modalities if name in subject.files}
    record = {
        "format": FORMAT,
        "reader": f"{type(dataset).__module__}.{type(dataset).__qualname__}",
        "reading": getattr(dataset, "reading", None),
        "id": subject.id,
        "files": files,
        "segmentation": subject.segmentation and _identity(subject.segmentation),
        "settings": asdict(settings),
        "inputs": list(inputs),
    }
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:32]


def _identity(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError("this file cannot be read", where=path, why=error.strerror, mend="Check the path") from error
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns


def _where(subject: Subject) -> Path:
    return next(iter(subject.files.values())).parent


def _encode(v: np.ndarray) -> np.ndarray:
    """[-1, 1] to codes 0 to 65535."""
    return np.rint((v + 1) * np.float32(32767.5)).astype(np.uint16)


@lru_cache(maxsize=1)
def _decoding() -> np.ndarray:
    """The value of each code, float32 (65536,): exact at both ends."""
    return (-1 + 2 * np.arange(65536) / 65535).astype(np.float32)


@lru_cache(maxsize=128)  # each map holds a file descriptor, of which a process has about a thousand
def _map(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r")


def _check(path: Path, shape: tuple[int, ...], dtype: type) -> None:
    """Raise `ValueError` or `OSError` unless the file holds this array, complete."""
    array = np.load(path, mmap_mode="r")
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape} where {np.dtype(dtype)} {shape} is expected")
