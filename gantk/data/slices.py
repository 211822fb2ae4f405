"""Volumes to normalised axial slices at one in-plane spacing, and predicted slices back to the volume."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gantk.data.foreground import Foreground, check_plausible, find_foreground
from gantk.data.normalisation import Normalisation, Scale, fit_scale, fixed_scale
from gantk.errors import DataError

if TYPE_CHECKING:
    from gantk.data.subject import Subject, Volumes
    from gantk.progress import Progress
    from gantk.recipe.data import IntensitySettings

__all__ = [
    "Plane",
    "Readable",
    "SliceSettings",
    "Slices",
    "categories_of",
    "category_scale",
    "centre",
    "few_numbers",
    "holds_few_numbers",
    "intensities_of",
    "normalised_slices",
    "placed",
    "resize",
    "slices_of",
    "tell",
    "volume_of",
]


_FEW = 16  # different numbers at most in an image that may be a label map,
_SAMPLE = 4096  # as some of its pixels tell at once


@dataclass(frozen=True)
class SliceSettings:
    """Everything that shapes the stored slices, beside the files themselves.

    Attributes:
        modalities: inputs and targets; a patient may lack targets.
        spacing: in-plane pixel size, mm; None keeps the images' own.
        crop: (H, W) of the stored slices, cropped or padded about the centre.
        normalisation: where the normalised range's shoulder begins.
        intensities: what the recipe says of a modality's numbers, by modality; see `IntensitySettings`.
        mask: a modality that is not 0 where there is foreground; where None, foreground is found in the inputs.
    """

    modalities: tuple[str, ...]
    spacing: float | None
    crop: tuple[int, int]
    normalisation: Normalisation = Normalisation()
    intensities: Mapping[str, IntensitySettings] = field(default_factory=dict)
    mask: str | None = None

    @property
    def categories(self) -> frozenset[str]:
        """The modalities whose numbers are names."""
        return frozenset(name for name, given in self.intensities.items() if given.categories)


@dataclass(frozen=True)
class Slices:
    """One subject's axial slices: slice k is `volume[:, :, k].T`, rows anterior → posterior.

    Attributes:
        images: modality name -> float32 (Z, H, W), or (Z, C, H, W) where an image has channels.
        foreground: bool (Z, H, W), the brain.
        segmentation: uint8 (Z, H, W) or None.
        scales: modality name -> the image's own map from scanner units to [-1, 1], its background included.
        pixel: mm² of a pixel; None for pictures, which have no size in the world.
        negative: modality name -> which part of its foreground lies below 0, from which its unit is recognized; left
            out where there is nothing to be recognized, as in pictures.
        remarks: what a user must be told of how the files were read -> the file that shows it, or its modality.
    """

    images: dict[str, np.ndarray]
    foreground: np.ndarray
    segmentation: np.ndarray | None
    scales: dict[str, Scale]
    pixel: float | None = None
    negative: dict[str, float] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


class Readable(Protocol):
    """What a dataset reads of one subject, in the files' own units: knows its way to slices and back.

    Optional members, for what is resized to be trained on: `own_size`, its (H, W), and `sized((H, W))`, the same whose
    slices have another size. `gantk predict` asks for the own size, or for one that a user names.
    """

    def slices(self, inputs: Sequence[str], settings: SliceSettings) -> Slices:
        """Every modality as normalised slices, full field of view: the crop is not applied.

        Args:
            inputs: the modalities that say where foreground is.
            settings: spacing, normalisation, intensities and mask, where they mean something here.

        Raises:
            DataError: the images cannot be used; `where` may be the name of a modality.
        """

    def restore(
        self, image: np.ndarray, inputs: Sequence[str], settings: SliceSettings, slices: Slices, scale: Scale
    ) -> np.ndarray:
        """An image made from the slices, (Z, C, H, W) in [-1, 1], on the subject's own grid.

        Args:
            image: full field of view, C channels.
            inputs: as in `slices`.
            settings: as in `slices`.
            slices: what `slices` gave.
            scale: from the files' units to the image's, which also has the number for outside the foreground.
        """


@dataclass(frozen=True)
class Plane:
    """The in-plane grid of a volume and the same plane at `spacing`; the two share their centre.

    Attributes:
        native: (H, W) of the volume's axial slices.
        voxel: their pixel size along H and W, mm.
        spacing: pixel size to resample to, mm; None leaves the grid as it is.
    """

    native: tuple[int, int]
    voxel: tuple[float, float]
    spacing: float | None

    @classmethod
    def of(cls, volumes: Volumes, spacing: float | None) -> Plane:
        """The plane of a subject's axial slices."""
        (x, y, _), (dx, dy, _) = volumes.shape, volumes.spacing
        return cls((y, x), (dy, dx), spacing)

    @property
    def factors(self) -> tuple[float, float]:
        """Native pixels per resampled pixel, along H and W."""
        if self.spacing is None:
            return 1.0, 1.0
        h, w = (self.spacing / size for size in self.voxel)
        return (1.0 if abs(h - 1) < 1e-4 else h), (1.0 if abs(w - 1) < 1e-4 else w)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) after resampling."""
        h, w = (max(1, round(n / f)) for n, f in zip(self.native, self.factors, strict=True))
        return h, w

    def resample(self, stack: np.ndarray) -> np.ndarray:
        """Images (..., H, W) to (..., H', W'), float32: linear, averaging where the grid becomes coarser."""
        return _linear(stack, self.shape, self.factors)

    def resample_labels(self, stack: np.ndarray) -> np.ndarray:
        """Labels or masks (..., H, W) to (..., H', W'), same dtype: the nearest pixel's."""
        rows, columns = (_nearest(n, m, f) for n, m, f in zip(self.native, self.shape, self.factors, strict=True))
        return stack[..., rows[:, None], columns]

    def restore(self, stack: np.ndarray) -> np.ndarray:
        """Resampled images (..., H', W') back to the native (..., H, W), float32: linear."""
        h, w = self.factors
        return _linear(stack, self.native, (1 / h, 1 / w))


def slices_of(
    volumes: Volumes, spacing: float | None, categories: Collection[str] = ()
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Axial slices at `spacing` mm: images float32 (Z, H, W) in scanner units, segmentation uint8 or None.

    Modalities that hold categories, and the segmentation, take the nearest pixel's.
    """
    plane = Plane.of(volumes, spacing)
    images = {
        name: (plane.resample_labels if name in categories else plane.resample)(_axial(image))
        for name, image in volumes.images.items()
    }
    labels = volumes.segmentation
    return images, None if labels is None else plane.resample_labels(_axial(labels))


def volume_of(stack: np.ndarray, volumes: Volumes, spacing: float | None) -> np.ndarray:
    """`slices_of` undone for one image: (Z, H', W') at `spacing` to float32 (X, Y, Z) on the native grid."""
    return np.ascontiguousarray(_axial(Plane.of(volumes, spacing).restore(stack)))


def normalised_slices(volumes: Volumes, inputs: Sequence[str], settings: SliceSettings) -> Slices:
    """Every modality at the settings' spacing, scaled per volume to [-1, 1] in the foreground, exactly -1 outside.

    Raises:
        DataError: the foreground is not plausible; `where` is the modality concerned.
    """
    found = _foreground(volumes, inputs, settings)
    own = {name: image for name, image in volumes.images.items() if name in found.backgrounds}
    told = [*own] if settings.mask is not None else [*_told(settings)]
    categories = settings.categories
    check_plausible(
        replace(found, bodies={name: body for name, body in found.bodies.items() if name not in categories}),
        own,
        [name for name in inputs if name not in categories],
        told,
    )
    scales = {
        name: category_scale(name, image, settings)
        if name in categories
        else fit_scale(image, found.mask, settings.normalisation, found.backgrounds[name])
        for name, image in own.items()
    }
    images, labels = slices_of(volumes, settings.spacing, categories)
    foreground = Plane.of(volumes, settings.spacing).resample_labels(_axial(found.mask))
    images = {name: scale.apply(images[name], foreground) for name, scale in scales.items()}
    negative = {name: _negative(image[found.mask], scales[name]) for name, image in own.items()}
    dx, dy, _ = volumes.spacing
    pixel = dx * dy if settings.spacing is None else settings.spacing**2
    remarks = {}
    for name, image in own.items():
        if remark := few_numbers(name, image, settings):
            remarks[remark] = name
    return Slices(images, foreground, labels, scales, pixel, negative, remarks)


def intensities_of(
    stack: np.ndarray, volumes: Volumes, inputs: Sequence[str], settings: SliceSettings, scale: Scale
) -> np.ndarray:
    """`normalised_slices` undone for one image: (Z, H', W') in [-1, 1] to float32 (X, Y, Z) in the scale's units."""
    brain = _foreground(replace(volumes, images=_shown(volumes, inputs, settings)), inputs, settings).mask
    foreground = Plane.of(volumes, settings.spacing).resample_labels(_axial(brain))
    intensities = volume_of(np.where(foreground, scale.invert(stack), np.float32(0)), volumes, settings.spacing)
    # the share of brain that went into each voxel: without it the background would change the brain's rim
    share = volume_of(foreground.astype(np.float32), volumes, settings.spacing)
    inside = brain & (share > 1e-3)
    return np.where(inside, intensities / np.maximum(share, 1e-3), np.float32(scale.background))


def category_scale(name: str, image: np.ndarray, settings: SliceSettings, type: str = "float32") -> Scale:
    """The scale of an image whose numbers are names: one place in [-1, 1] for each, the same in all images.

    Raises:
        DataError: it holds another number; `where` is the modality.
    """
    given = settings.intensities[name]
    assert given.range is not None
    assert given.span is not None
    first, last = given.range
    others = np.unique(image)
    others = others[(others != np.rint(others)) | (others < first) | (others > last)]
    if others.size:
        raise DataError(
            f"this image holds {others[0]:g}, which is none of the categories {first:g} to {last:g}",
            where=name,
            why=f"data.intensities.{name}.range, or data.extra, says so",
            mend="Correct the range in the recipe, or the file; what was resampled must take the nearest pixel's",
        )
    return fixed_scale(*given.span, background=first, type=type)


def categories_of(image: np.ndarray, scale: Scale) -> np.ndarray:
    """The numbers of an image on its `category_scale`, int64; outside the foreground the first category."""
    return np.rint(np.maximum(scale.invert(image), scale.background)).astype(np.int64)


def holds_few_numbers(image: np.ndarray) -> bool:
    """Whether an image holds a few whole numbers alone, as label maps and masks do."""
    sample = np.unique(image.ravel()[:: max(1, image.size // _SAMPLE)])  # cheap, and most images end here
    return len(sample) <= _FEW and not (sample != np.rint(sample)).any() and len(np.unique(image)) <= _FEW


def few_numbers(name: str, image: np.ndarray, settings: SliceSettings) -> str:
    """What a user must be told of an image that may be a label map, and is not said to be one; empty for nothing."""
    said = settings.intensities.get(name)
    if said is not None and said.unit != "auto":
        return ""
    if not holds_few_numbers(image):
        return ""
    return (
        f"{name} holds a few whole numbers alone and is treated as brightness, interpolated among others; if they are "
        f'labels, say data.intensities.{name}.unit = "categories" and their range, if not, another unit'
    )


def _foreground(volumes: Volumes, inputs: Sequence[str], settings: SliceSettings) -> Foreground:
    """The foreground of the modalities that are translated; the mask says it where there is one."""
    images = {name: image for name, image in volumes.images.items() if name in settings.modalities}
    mask = None if settings.mask is None else volumes.images[settings.mask]
    return find_foreground(images, inputs, _told(settings), mask)


def _shown(volumes: Volumes, inputs: Sequence[str], settings: SliceSettings) -> dict[str, np.ndarray]:
    """What says where foreground is."""
    return {name: volumes.images[name] for name in {*inputs, *([settings.mask] if settings.mask else [])}}


def _told(settings: SliceSettings) -> dict[str, float]:
    """The backgrounds that the recipe names."""
    return {name: given.background for name, given in settings.intensities.items() if given.background is not None}


def _negative(brain: np.ndarray, scale: Scale) -> float:
    """Which part of a volume's foreground is negative."""
    return float(np.mean(scale.below_zero(brain)))


def tell(progress: Progress, remarks: Iterable[Mapping[str, str]]) -> None:
    """Say each remark of some subjects' slices once, with the first file that shows it.

    Args:
        progress: where it is said.
        remarks: of each subject.
    """
    found: dict[str, list[str]] = {}
    for of in remarks:
        for remark, example in of.items():
            found.setdefault(remark, []).append(example)
    for remark, examples in found.items():
        first, *more = sorted(examples)  # threads find them in any order
        progress.note(f"{remark}: {first}" + (f", and {len(more)} more" if more else ""))


def placed(error: DataError, subject: Subject, noun: str = "patient") -> DataError:
    """What `Readable.slices` raised, with the subject, and the file in place of the modality."""
    name = error.where if error.where in subject.files else None
    what = f"{noun} {subject.id!r}{f', {name!r}' if name else ''}: {error.what}"
    return DataError(what, where=subject.files[name] if name else subject.folder, why=error.why, mend=error.mend)


def resize(stack: np.ndarray, size: tuple[int, int], nearest: bool = False) -> np.ndarray:
    """Images (..., H, W) to `size`, float32: linear, averaging where the grid becomes coarser, or nearest."""
    h, w = stack.shape[-2:]
    if nearest:
        rows, columns = (_nearest(n, m, n / m) for n, m in zip((h, w), size, strict=True))
        return stack[..., rows[:, None], columns].astype(np.float32, copy=False)
    return _linear(stack, size, (h / size[0], w / size[1]))


def centre(stack: np.ndarray, size: tuple[int, int], fill: float | None = 0) -> np.ndarray:
    """Crop or pad (..., H, W) about its centre to `size`; the way back puts every pixel in its old place.

    Without a value to fill with, the outermost pixels are repeated.
    """
    h, w = stack.shape[-2:]
    (top, to_top, rows), (left, to_left, columns) = _overlap(h, size[0]), _overlap(w, size[1])
    if fill is None:
        near = np.clip(np.arange(size[0]) + top - to_top, 0, h - 1)
        return stack[..., near[:, None], np.clip(np.arange(size[1]) + left - to_left, 0, w - 1)]
    out = np.full((*stack.shape[:-2], *size), fill, stack.dtype)
    out[..., to_top : to_top + rows, to_left : to_left + columns] = stack[..., top : top + rows, left : left + columns]
    return out


def _axial(volume: np.ndarray) -> np.ndarray:
    """(X, Y, Z) to (Z, Y, X), and back."""
    return volume.transpose(2, 1, 0)


def _overlap(n: int, m: int) -> tuple[int, int, int]:
    """Start in n pixels, start in m pixels, and length of what two centred spans share."""
    return (max(n - m, 0) // 2, max(m - n, 0) // 2, min(n, m))


def _positions(n: int, m: int, factor: float) -> np.ndarray:
    """Where m pixels, `factor` old pixels apart, lie among n old pixels with the same centre."""
    return (np.arange(m) - (m - 1) / 2) * factor + (n - 1) / 2


def _nearest(n: int, m: int, factor: float) -> np.ndarray:
    """The old pixel next to each of m."""
    return np.clip(np.floor(_positions(n, m, factor) + 0.5), 0, n - 1).astype(int)


@lru_cache(maxsize=16)
def _weights(n: int, m: int, factor: float) -> np.ndarray:
    """The (m, n) matrix of linear interpolation; its triangles widen with the factor: nothing aliases."""
    positions = np.clip(_positions(n, m, factor), 0, n - 1)
    weights = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(n)) / max(1.0, factor))
    return weights / weights.sum(1, keepdims=True)


def _linear(stack: np.ndarray, shape: tuple[int, int], factors: tuple[float, float]) -> np.ndarray:
    h, w = stack.shape[-2:]
    if factors == (1.0, 1.0) and (h, w) == shape:
        return stack.astype(np.float32, copy=False)
    rows, columns = _weights(h, shape[0], factors[0]), _weights(w, shape[1], factors[1])
    # in double precision, whose last bits differ between machines too, but far below what is stored
    return (rows @ stack.astype(np.float64) @ columns.T).astype(np.float32)
