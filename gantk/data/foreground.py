"""Foreground of volumes: estimate the background value, find the voxels of the body, and check plausibility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gantk.errors import DataError

__all__ = ["Foreground", "body_of", "check_plausible", "find_background", "find_foreground"]

_NEAR = 0.01  # voxels within this fraction of the intensity range of the background are background
_TAIL = 0.1  # resampling undershoots the background by less than this fraction of the range
_LARGEST = 0.6  # largest plausible foreground, as a fraction of the volume,
_OPEN = 0.4  # or of its four sides, which a body in a narrow crop hardly touches
_SHARED = 0.5  # fraction of a foreground that must lie inside that of the other images
_CONSTANT = 0.25  # a border with at least this fraction of one number was filled with a constant


def find_background(volume: np.ndarray) -> float:
    """The number that fills the border of a volume (X, Y, Z), in its own units.

    The most common number on its faces. If no number is common, as after interpolation: the center of the densest
    hundredth of the range, or 0 if 0 lies in it.
    """
    faces = _border(volume)
    numbers, counts = np.unique(faces, return_counts=True)
    if counts.max() >= _CONSTANT * faces.size:
        return float(numbers[counts.argmax()]) + 0.0  # not -0
    faces.sort()
    low, high = np.percentile(volume, (0.5, 99.5))
    ends = np.searchsorted(faces, faces + _NEAR * (high - low), "right")
    first = int((ends - np.arange(faces.size)).argmax())
    dense = faces[first : ends[first]]
    return 0.0 if dense[0] <= 0 <= dense[-1] else float(np.median(dense))


def body_of(volume: np.ndarray, background: float) -> np.ndarray:
    """The voxels that are not background, bool of the volume's shape.

    A background at an end of the range (air in CT, 0 in MR) includes all numbers beyond it and those within a hundredth
    of the range before it. A background inside the range, such as 0 in images that are z-scored inside the brain, is
    that exact number.
    """
    others = volume[volume != background]
    if not others.size:
        return np.zeros(volume.shape, bool)
    low, high = np.percentile(others, (0.5, 99.5))
    if _is_end(others, background, low, high):
        return volume > background + _NEAR * (high - background)
    if _is_end(-others, -background, -high, -low):
        return volume < background - _NEAR * (background - low)
    return volume != background


def _is_end(others: np.ndarray, background: float, low: float, high: float) -> bool:
    """Whether nearly all other numbers lie above the background."""
    near = _NEAR * (high - background)
    if background - low > _TAIL * (high - background):
        return False
    below, above = (np.count_nonzero(side) for side in (others < background - near, others > background + near))
    return bool(below <= 0.25 * above)


@dataclass(frozen=True)
class Foreground:
    """The body and the background in the volumes of one subject.

    Attributes:
        mask: bool (X, Y, Z), the foreground of all images.
        backgrounds: by modality, the number outside the body.
        bodies: by modality, the voxels that are not background, bool (X, Y, Z).
    """

    mask: np.ndarray
    backgrounds: dict[str, float]
    bodies: dict[str, np.ndarray]


def find_foreground(
    images: Mapping[str, np.ndarray],
    inputs: Sequence[str],
    told: Mapping[str, float],
    mask: np.ndarray | None = None,
) -> Foreground:
    """The foreground of a subject: the mask if there is one, else the bodies of all inputs with enclosed holes filled.

    Args:
        images: by modality, (X, Y, Z) in their own units, the inputs among them.
        inputs: modalities that determine the foreground.
        told: known backgrounds, by modality; the others are estimated.
        mask: nonzero in the foreground.
    """
    backgrounds = {name: told[name] if name in told else find_background(image) for name, image in images.items()}
    bodies = {name: body_of(image, backgrounds[name]) for name, image in images.items()}
    whole = _filled(_union([bodies[name] for name in inputs])) if mask is None else mask != 0
    return Foreground(whole, backgrounds, bodies)


def check_plausible(
    found: Foreground, images: Mapping[str, np.ndarray], inputs: Sequence[str], known: Sequence[str]
) -> None:
    """Reject images whose foreground is not plausible for a body.

    Args:
        found: their foreground.
        images: as in `find_foreground`.
        inputs: as in `find_foreground`.
        known: modalities whose background or mask the recipe specifies.

    Raises:
        DataError: an input is foreground in more than 60 % of the volume and 40 % of its sides (unless it is in
            `known`), an image is constant inside the foreground or has its body elsewhere; `where` is the modality.
    """
    why, mend = {}, {}
    for name in found.bodies:
        source = "" if name in known else ", the most common number at its border"
        why[name] = f"its background is taken to be {found.backgrounds[name]:g}{source}"
        mend[name] = (
            f"set the number outside the body as background in [data.intensities.{name}] of the recipe, or set "
            "data.mask to a modality that is not 0 inside the body"
        )
    for name, body in found.bodies.items():
        part = float(body.mean())
        if name in inputs and name not in known and part > _LARGEST and _border(body, (0, 1)).mean() > _OPEN:
            raise DataError(
                f"{part:.0%} of this image would be foreground, which is too much for a body",
                where=name,
                why=why[name],
                mend=f"strip the skull, or {mend[name]}",
            )
        inside = images[name][found.mask]
        if not inside.size or inside.min() == inside.max():
            raise DataError(
                f"this image is {f'{inside[0]:g} everywhere' if inside.any() else 'empty'} inside the brain",
                where=name,
                why=why[name],
                mend=f"leave the patient out, or correct the file. If the background is different, {mend[name]}",
            )
    for name, body in found.bodies.items():  # last, so that other images are not blamed for an empty one
        others = [found.bodies[other] for other in inputs if other != name]
        around = _union(others) if others else found.mask
        smaller = min(int(body.sum()), int(around.sum()))
        shared = int((body & around).sum()) / max(smaller, 1)
        if shared < _SHARED:
            raise DataError(
                f"only {shared:.0%} of this image's foreground overlaps with the foreground of the others",
                where=name,
                why=why[name],
                mend=f"register it to the other images. If the background is different, {mend[name]}",
            )


def _border(volume: np.ndarray, among: Sequence[int] = (0, 1, 2)) -> np.ndarray:
    """The voxels of a volume's faces; voxels on edges appear several times. An axis of one voxel has no faces."""
    axes = [axis for axis in among if volume.shape[axis] > 1] or [0]
    return np.concatenate([volume.take(side, axis).ravel() for axis in axes for side in (0, -1)])


def _union(bodies: Sequence[np.ndarray]) -> np.ndarray:
    union: np.ndarray = np.logical_or.reduce(bodies)
    return union


def _filled(body: np.ndarray) -> np.ndarray:
    """A body with enclosed holes filled; labeling is far faster than scipy's `binary_fill_holes` on large volumes."""
    try:
        from scipy import ndimage
    except ImportError:  # exported networks run without it
        return _filled_slowly(body)
    holes, count = ndimage.label(~body)
    outside = np.zeros(count + 1, bool)
    outside[_border(holes)] = True
    outside[0] = False  # the body itself
    return ~outside[holes]


def _filled_slowly(body: np.ndarray) -> np.ndarray:
    """The same with only NumPy: the outside grows from the border along every axis until it stops growing."""
    free, outside = ~body, np.zeros_like(body)
    for axis in [axis for axis in range(body.ndim) if body.shape[axis] > 1] or [0]:
        for side in (0, -1):
            face = (*[slice(None)] * axis, side)
            outside[face] = free[face]
    count = -1
    while count != (count := int(np.count_nonzero(outside))):
        for axis in range(body.ndim):
            reached, open_ = np.moveaxis(outside, axis, 0), np.moveaxis(free, axis, 0)
            for places in (range(1, len(reached)), range(len(reached) - 2, -1, -1)):
                for place in places:
                    reached[place] |= reached[place - places.step] & open_[place]
    return ~outside
