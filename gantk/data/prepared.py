"""A prepared patient: memory-mapped slices, read whole or in part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from gantk.data.meaning import Meaning
from gantk.data.normalisation import Scale
from gantk.data.slices import categories_of
from gantk.errors import CacheError, DataError, nearest
from gantk.files import checksum, checksum_of

__all__ = ["ARRAYS", "WHOLE", "PatientSlices", "Window", "encode"]

ARRAYS = ("images.npy", "segmentation.npy")
_PARSING = Lock()  # NumPy parses headers with `ast`, which fails at random in threads of Python 3.11 (gh-106905)
_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)

Window = tuple[slice, slice]
"""A part of each slice: rows and columns."""
WHOLE: Window = (slice(None), slice(None))


class PatientSlices:
    """One patient's prepared slices with brain, from inferior to superior, read from memory-mapped files.

    The stored data are raw: intensities as 16-bit codes on each image's own scale (0 is the background, exactly -1, and
    1 to 65535 span (-1, 1]), and the segmentation's own labels. Their meaning is decided over the cohort.

    Attributes:
        id: the patient.
        z: (S,) index of each slice in the LPS volume.
        tumour: bool (S,), whether the slice has any tumor label.
        core: bool (S,), whether the slice has a label of the tumor core.
        tumour_area: (S,) pixels with a tumor label.
        core_area: (S,) pixels with a label of the tumor core.
        brain_area: (S,) pixels with brain.
        modalities: the modalities that are present.
        channels: planes of one modality's image.
        pixels: number of pixels of a slice.
        scales: modality -> the image's own map from scanner units.
        negative: modality -> the negative fraction of its foreground, if the unit has to be recognized.
        remarks: a remark for users on how the files were read -> the file or patient concerned.
        labels: the labels above 0 in the whole segmentation, as in its file.
        has_segmentation: whether the patient has a segmentation.
        checksum: checksum of all stored data of the patient, 64 hex digits.

    Args:
        folder: the patient's folder in the cache.
        meaning: the meaning of intensities and labels.

    Raises:
        CacheError: the folder is visibly damaged; the images are not read, see `verify`.
    """

    def __init__(self, folder: Path, meaning: Meaning = Meaning()) -> None:
        self.folder, self.meaning = folder, meaning
        try:
            stored = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            meta = stored["meta"]
            self.checksum: str = stored["checksum"]
            if self.checksum != checksum_of(meta):
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
            self.core_area = _area(areas, meaning.labels.core, len(self.z))
            self.core = self.core_area > 0
            height, width = meta["crop"]
            self._crop: tuple[int, int] = (height, width)
            self.pixels: int = height * width
            shape = (len(self.z), len(self.modalities) * self.channels, height, width)
            _check(folder / "images.npy", shape, np.uint16)
            _check(folder / "segmentation.npy", (shape[0], *shape[2:]), np.uint8)
        except _DAMAGED as error:
            raise _damaged(folder, error) from error

    def __len__(self) -> int:
        return len(self.z)

    def verify(self) -> None:
        """Read all stored data and compare them with their checksums.

        Raises:
            CacheError: the data differ from the stored data.
        """
        for name in ARRAYS:
            try:
                same = checksum(self.folder / name) == self._files[name]
            except _DAMAGED as error:
                raise _damaged(self.folder, error) from error
            if not same:
                raise _damaged(self.folder, f"{name} differs from its checksum")

    def meant(self, meaning: Meaning) -> PatientSlices:
        """The same slices with another meaning."""
        return PatientSlices(self.folder, meaning)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, H, W)."""
        return len(self.z), *self._crop

    def images(self, rows: Sequence[int] | np.ndarray, modalities: Sequence[str], window: Window = WHOLE) -> np.ndarray:
        """Slices of some modalities, float32 (len(rows), M·channels, H, W) in [-1, 1], background exactly -1.

        Args:
            rows: indices of stored slices.
            modalities: the modalities, in the order of the channels.
            window: the part of each slice to read.

        Raises:
            DataError: the patient has no such modality.
        """
        try:
            places = np.array([self.modalities.index(name) for name in modalities], int)
        except ValueError:
            lacking = next(name for name in modalities if name not in self.modalities)
            raise DataError(f"{self.id!r} has no {lacking!r} image", why=nearest(lacking, self.modalities)) from None
        planes = (places[:, None] * self.channels + np.arange(self.channels)).ravel()
        codes = _map(self.folder / "images.npy")[:, :, window[0], window[1]][np.ix_(np.asarray(rows, int), planes)]
        images = np.empty(codes.shape, np.float32)
        for place, name in enumerate(modalities):
            own = self.scales[name]
            shown = self.meaning.scale(name, own)
            values = _values() if shown == own else _decoding(own, shown)
            image = np.s_[:, place * self.channels : (place + 1) * self.channels]
            images[image] = values[codes[image]]
        return images

    def categories(self, rows: Sequence[int] | np.ndarray, modality: str, window: Window = WHOLE) -> np.ndarray:
        """The categories of a modality, int64 (len(rows), H, W); outside the foreground the first category.

        Raises as `images` does.
        """
        return categories_of(self.images(rows, [modality], window)[:, 0], self.scales[modality])

    def segmentation(self, rows: Sequence[int] | np.ndarray, window: Window = WHOLE) -> np.ndarray:
        """Canonical labels, uint8 (len(rows), H, W); zeros if the patient has no segmentation."""
        labels = _map(self.folder / "segmentation.npy")[:, window[0], window[1]]
        return self.meaning.labels.canonical(labels[np.asarray(rows, int)])

    def foreground(self, row: int) -> np.ndarray:
        """The foreground of a slice, bool (H, W)."""
        shown: np.ndarray = _map(self.folder / "images.npy")[row, 0] > 0
        return shown


def encode(v: np.ndarray) -> np.ndarray:
    """[-1, 1] to codes 0 to 65535."""
    return np.rint((v + 1) * np.float32(32767.5)).astype(np.uint16)


@lru_cache(maxsize=1)
def _values() -> np.ndarray:
    """The value of each code, float32 (65536,): exact at both ends."""
    return (-1 + 2 * np.arange(65536) / 65535).astype(np.float32)


@lru_cache(maxsize=128)
def _decoding(own: Scale, to: Scale) -> np.ndarray:
    """The value on the scale `to` of each code of an image with the scale `own`: float32 (65536,)."""
    return own.moved(_values(), to)


def _load(path: Path) -> np.ndarray:
    with _PARSING:
        return np.load(path, mmap_mode="r")


_map = lru_cache(maxsize=128)(_load)  # each map holds a file descriptor, and a process has only about a thousand


def _check(path: Path, shape: tuple[int, ...], dtype: type) -> None:
    """Raise `ValueError` or `OSError` unless the file contains this array completely."""
    array = _load(path)
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape}, but {np.dtype(dtype)} {shape} is expected")


def _area(areas: Mapping[int, np.ndarray], labels: Iterable[int], slices: int) -> np.ndarray:
    """Number of pixels with any of these labels, (S,), from the number of pixels with each label."""
    return sum((areas[label] for label in labels if label in areas), np.zeros(slices, np.int64))


def _damaged(folder: Path, why: object) -> CacheError:
    return CacheError(
        f"this prepared patient cannot be read ({why})", where=folder, mend="delete it; it will be rebuilt"
    )
