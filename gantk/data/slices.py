"""Conversion of volumes to normalized slices at one spacing, and of predicted slices back to the volume."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gantk.data.foreground import Foreground, check_plausible, find_foreground
from gantk.data.normalisation import Normalisation, Scale, fit_scale, fixed_scale
from gantk.data.planes import Plane, Spacing
from gantk.errors import DataError

if TYPE_CHECKING:
    from gantk.data.subject import Subject, Volumes
    from gantk.progress import Progress
    from gantk.recipe.data import Direction, IntensitySettings

__all__ = [
    "Readable",
    "SliceSettings",
    "Slices",
    "categories_of",
    "category_scale",
    "few_numbers",
    "holds_few_numbers",
    "intensities_of",
    "normalised_slices",
    "placed",
    "slices_of",
    "tell",
    "volume_of",
]


_FEW = 16  # an image with at most this many different numbers may be a label map
_SAMPLE = 4096  # number of pixels examined first


@dataclass(frozen=True)
class SliceSettings:
    """Everything that determines the stored slices, apart from the files themselves.

    Attributes:
        modalities: inputs and targets; a patient may lack targets.
        spacing: mm, see `Spacing`.
        crop: (H, W) of the stored slices, cropped or padded about the center.
        normalisation: the rule for the beginning of the shoulder.
        intensities: the recipe's intensity settings, by modality; see `IntensitySettings`.
        mask: a modality that is nonzero in the foreground; None finds the foreground in the inputs.
        plane: the orientation of the slices.
        whole: whether the stored slices form one volume without gaps between the first and the last slice.
    """

    modalities: tuple[str, ...]
    spacing: Spacing
    crop: tuple[int, int]
    normalisation: Normalisation = Normalisation()
    intensities: Mapping[str, IntensitySettings] = field(default_factory=dict)
    mask: str | None = None
    plane: Direction = "axial"
    whole: bool = False

    def grid(self, volumes: Volumes) -> Plane:
        """The slices of a subject's volumes."""
        return Plane.of(volumes, self.spacing, self.plane)

    @property
    def categories(self) -> frozenset[str]:
        """The modalities that hold categories."""
        return frozenset(name for name, given in self.intensities.items() if given.categories)


@dataclass(frozen=True)
class Slices:
    """One subject's slices; axial slice k is `volume[:, :, k].T`, rows anterior → posterior.

    Attributes:
        images: modality name -> float32 (Z, H, W), or (Z, C, H, W) if images have channels.
        foreground: bool (Z, H, W), the brain.
        segmentation: uint8 (Z, H, W) or None.
        scales: modality name -> the image's own map from scanner units to [-1, 1], including its background.
        pixel: area of a pixel, mm²; None for pictures, which have no physical size.
        negative: modality name -> the fraction of its foreground below 0, from which the unit is recognized; omitted if
            the unit is known, as in pictures.
        remarks: a remark for users on how the files were read -> the file concerned, or its modality.
    """

    images: dict[str, np.ndarray]
    foreground: np.ndarray
    segmentation: np.ndarray | None
    scales: dict[str, Scale]
    pixel: float | None = None
    negative: dict[str, float] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


class Readable(Protocol):
    """One subject's images as read by a dataset, in the files' own units, with the conversion to slices and back.

    Optional members for images that are resized for training: `own_size`, the (H, W) of the files, and `sized((H, W))`,
    a copy whose slices have another size. `gantk predict` uses the own size, or a size that the user names.
    """

    def slices(self, inputs: Sequence[str], settings: SliceSettings) -> Slices:
        """Every modality as normalized slices with the full field of view: the crop is not applied.

        Args:
            inputs: the modalities that determine the foreground.
            settings: spacing, normalization, intensities and mask, as far as they apply.

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
            slices: the result of `slices`.
            scale: the map between the files' units and the image's values, with the number outside the foreground.
        """


def slices_of(
    volumes: Volumes, plane: Plane, categories: Collection[str] = ()
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Resampled slices: images float32 (Z, H, W) in scanner units, segmentation uint8 or None.

    Modalities that hold categories, and the segmentation, are resampled by nearest voxel.
    """
    images = {
        name: (plane.resample_labels if name in categories else plane.resample)(plane.stack(image))
        for name, image in volumes.images.items()
    }
    labels = volumes.segmentation
    return images, None if labels is None else plane.resample_labels(plane.stack(labels))


def volume_of(stack: np.ndarray, plane: Plane) -> np.ndarray:
    """The inverse of `slices_of` for one image: (Z, H', W') to float32 (X, Y, Z) on the native grid."""
    return plane.volume(plane.restore(stack))


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
    plane = settings.grid(volumes)
    images, labels = slices_of(volumes, plane, categories)
    foreground = plane.resample_labels(plane.stack(found.mask))
    images = {name: scale.apply(images[name], foreground) for name, scale in scales.items()}
    negative = {name: _negative(image[found.mask], scales[name]) for name, image in own.items()}
    remarks = {}
    for name, image in own.items():
        if remark := few_numbers(name, image, settings):
            remarks[remark] = name
    return Slices(images, foreground, labels, scales, plane.pixel, negative, remarks)


def intensities_of(
    stack: np.ndarray, volumes: Volumes, inputs: Sequence[str], settings: SliceSettings, scale: Scale
) -> np.ndarray:
    """Inverse of `normalised_slices` for one image: (Z, H', W') in [-1, 1] to float32 (X, Y, Z) in the scale's unit."""
    brain = _foreground(replace(volumes, images=_shown(volumes, inputs, settings)), inputs, settings).mask
    plane = settings.grid(volumes)
    foreground = plane.resample_labels(plane.stack(brain))
    intensities = volume_of(np.where(foreground, scale.invert(stack), np.float32(0)), plane)
    # the fraction of brain in each voxel: without it the background would change the brain's rim
    share = volume_of(foreground.astype(np.float32), plane)
    inside = brain & (share > 1e-3)
    return np.where(inside, intensities / np.maximum(share, 1e-3), np.float32(scale.background))


def category_scale(name: str, image: np.ndarray, settings: SliceSettings, type: str = "float32") -> Scale:
    """The scale of an image of categories: each category has one value in [-1, 1], the same in all images.

    Raises:
        DataError: the image contains another number; `where` is the modality.
    """
    given = settings.intensities[name]
    assert given.range is not None
    assert given.span is not None
    first, last = given.range
    others = np.unique(image)
    others = others[(others != np.rint(others)) | (others < first) | (others > last)]
    if others.size:
        raise DataError(
            f"this image holds {others[0]:g}, which is not one of the categories {first:g} to {last:g}",
            where=name,
            why=f"data.intensities.{name}.range or data.extra defines the categories",
            mend="correct the range in the recipe, or the file; use nearest-neighbor resampling for such images",
        )
    return fixed_scale(*given.span, background=first, type=type)


def categories_of(image: np.ndarray, scale: Scale) -> np.ndarray:
    """The categories of an image on its `category_scale`, int64; outside the foreground the first category."""
    return np.rint(np.maximum(scale.invert(image), scale.background)).astype(np.int64)


def holds_few_numbers(image: np.ndarray) -> bool:
    """Whether an image contains only a few different integers, as label maps and masks do."""
    sample = np.unique(image.ravel()[:: max(1, image.size // _SAMPLE)])  # cheap, and sufficient for most images
    return len(sample) <= _FEW and not (sample != np.rint(sample)).any() and len(np.unique(image)) <= _FEW


def few_numbers(name: str, image: np.ndarray, settings: SliceSettings) -> str:
    """The remark that an image may be a label map although the recipe does not declare it as one; empty for none."""
    said = settings.intensities.get(name)
    if said is not None and said.unit != "auto":
        return ""
    if not holds_few_numbers(image):
        return ""
    return (
        f"{name} holds only a few different whole numbers and is interpolated as brightness; if they are labels, "
        f'set data.intensities.{name}.unit = "categories" and their range; otherwise set another unit'
    )


def _foreground(volumes: Volumes, inputs: Sequence[str], settings: SliceSettings) -> Foreground:
    """The foreground of the translated modalities; from the mask if there is one."""
    images = {name: image for name, image in volumes.images.items() if name in settings.modalities}
    mask = None if settings.mask is None else volumes.images[settings.mask]
    return find_foreground(images, inputs, _told(settings), mask)


def _shown(volumes: Volumes, inputs: Sequence[str], settings: SliceSettings) -> dict[str, np.ndarray]:
    """The images that determine the foreground."""
    return {name: volumes.images[name] for name in {*inputs, *([settings.mask] if settings.mask else [])}}


def _told(settings: SliceSettings) -> dict[str, float]:
    """The backgrounds that the recipe names."""
    return {name: given.background for name, given in settings.intensities.items() if given.background is not None}


def _negative(brain: np.ndarray, scale: Scale) -> float:
    """The fraction of a volume's foreground that is negative."""
    return float(np.mean(scale.below_zero(brain)))


def tell(progress: Progress, remarks: Iterable[Mapping[str, str]]) -> None:
    """Report each remark on the subjects' slices once, with the first file that shows it.

    Args:
        progress: receives the remarks.
        remarks: the remarks of each subject.
    """
    found: dict[str, list[str]] = {}
    for of in remarks:
        for remark, example in of.items():
            found.setdefault(remark, []).append(example)
    for remark, examples in found.items():
        first, *more = sorted(examples)  # threads find them in any order
        progress.note(f"{remark}: {first}" + (f", and {len(more)} more" if more else ""))


def placed(error: DataError, subject: Subject, noun: str = "patient") -> DataError:
    """An error of `Readable.slices` with the subject added, and the file in place of the modality."""
    name = error.where if error.where in subject.files else None
    what = f"{noun} {subject.id!r}{f', {name!r}' if name else ''}: {error.what}"
    return DataError(what, where=subject.files[name] if name else subject.folder, why=error.why, mend=error.mend)
