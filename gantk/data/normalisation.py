"""Conversion of scanner units to [-1, 1] and back, with one recorded scale per volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median, median_low
from typing import Any

import numpy as np

from gantk.errors import DataError

__all__ = [
    "BACKGROUND",
    "DARKEST",
    "Normalisation",
    "Scale",
    "fit_scale",
    "fixed_scale",
    "full_scale",
    "is_full",
    "shared_scale",
    "typical_scale",
]

BACKGROUND = -1.0
DARKEST = BACKGROUND + 2 / 65535  # the lowest foreground value, one 16-bit step above the background
_SHOULDER = 0.9
_LOW_SHOULDER = -0.95
_ROOM = 0.05  # margin beyond the training patients' values, as a fraction of the range between the shoulders


@dataclass(frozen=True)
class Normalisation:
    """The rule for the beginning of a scale's shoulder: `reach` times a percentile of the brain's intensities.

    A percentile in healthy tissue (the 80th: white matter in T1) hardly depends on the tumor, so that brain looks alike
    in patients with much and with no enhancement. A percentile near 100 would dim the brain of patients with much.

    Attributes:
        percentile: percentile of the brain's intensities, (0, 100].
        reach: multiple of that percentile, both measured from the lower end; above 0.
    """

    percentile: float = 80.0
    reach: float = 2.0


@dataclass(frozen=True)
class Scale:
    """A strictly increasing, piecewise linear map from scanner units to [-1, 1], exactly invertible.

    Attributes:
        units: increasing knots in scanner units.
        values: the values at the knots, from -1 to 1.
        background: the number outside the foreground, mapped to -1; inside, that number is mapped like any other.
        type: the NumPy type of the numbers in the file.
    """

    units: tuple[float, ...]
    values: tuple[float, ...]
    background: float = 0.0
    type: str = "float32"

    @property
    def upper(self) -> float:
        """The second knot in scanner units: where the shoulder begins."""
        return self.units[1]

    @property
    def black(self) -> float:
        """Black in scanner units: 0, or the lower end if it is above 0."""
        return max(0.0, self.units[0])

    @property
    def brightness(self) -> float:
        """Distance from black to the beginning of the shoulder, in scanner units."""
        return self.upper - self.black

    def times(self, ratio: float) -> Scale:
        """The scale of an image brighter by this ratio."""
        return replace(self, units=tuple(self.black + (unit - self.black) * ratio for unit in self.units))

    def apply(self, x: np.ndarray, foreground: np.ndarray) -> np.ndarray:
        """Normalize to float32: above -1 and up to 1 inside the foreground, exactly -1 outside.

        Args:
            x: scanner units, any shape.
            foreground: bool, same shape.
        """
        out = np.full(x.shape, BACKGROUND, np.float32)
        out[foreground] = np.maximum(np.interp(x[foreground], self.units, self.values), DARKEST)
        return out

    def below_zero(self, x: Any) -> Any:
        """Whether numbers of any shape lie below 0 by more than a hundredth of the range up to the shoulder."""
        return x < -0.01 * (self.upper - self.units[0])

    def moved(self, values: np.ndarray, to: Scale) -> np.ndarray:
        """Normalized values converted from this scale to another, float32; background stays exactly -1."""
        return values if to == self else to.apply(self.invert(values), values > BACKGROUND)

    def invert(self, v: np.ndarray, foreground: np.ndarray | None = None) -> np.ndarray:
        """Convert back to scanner units, float32; outside the foreground, if one is given, the background value."""
        x = np.interp(v, self.values, self.units).astype(np.float32)
        return x if foreground is None else np.where(foreground, x, np.float32(self.background))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "units": list(self.units),
            "values": list(self.values),
            "background": self.background,
            "type": self.type,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Scale:
        """The scale that `to_dict` recorded."""
        units, values = (tuple(map(float, record[name])) for name in ("units", "values"))
        return cls(units, values, float(record["background"]), str(record["type"]))


def fit_scale(
    volume: np.ndarray, foreground: np.ndarray, rule: Normalisation = Normalisation(), background: float = 0.0
) -> Scale:
    """The scale of one volume: [low, upper] -> [-1, 0.9], [upper, top] -> [0.9, 1]; low is min(black, brain minimum).

    Black is 0, or the background if it is above 0 and below the brain, as in files whose numbers have an offset. The
    shoulder above `upper` keeps a few very bright voxels from compressing all others; no voxel is clipped.

    Args:
        volume: scanner units, any shape.
        foreground: bool, same shape: the brain.
        rule: the rule for the beginning of the shoulder.
        background: scanner units outside the foreground.

    Raises:
        DataError: the volume is empty inside the foreground.
    """
    brain = volume[foreground]
    if not brain.size or not brain.any():
        raise DataError("this image is empty inside the brain", mend="leave the patient out")
    black = background if 0 < background < np.median(brain) else 0.0
    low, high = min(black, float(brain.min())), float(brain.max())
    upper = low + rule.reach * (float(np.percentile(brain, rule.percentile)) - low)
    if upper - low <= 1e-6 * (high - low):  # almost all of the brain has the lowest value
        upper = high
    top = max(high, upper + (upper - low) * (1 - _SHOULDER) / (1 + _SHOULDER))  # a single slope if no voxel is brighter
    return Scale((low, upper, top), (-1.0, _SHOULDER, 1.0), background)


def full_scale(greatest: float) -> Scale:
    """The scale of a picture, independent of its contents: [0, greatest] -> [-1, 1], without a shoulder."""
    return Scale((0.0, float(greatest)), (-1.0, 1.0), type="uint8" if greatest <= 255 else "uint16")


def is_full(scale: Scale) -> bool:
    """Whether a scale spans the full range of its unsigned type, so that the numbers mean only brightness."""
    kind = np.dtype(scale.type)
    return kind.kind == "u" and scale.units == (0.0, float(np.iinfo(kind).max))


def fixed_scale(lowest: float, highest: float, background: float = 0.0, type: str = "float32") -> Scale:
    """The scale of a range in the recipe: [lowest, highest] -> [-1, 1]; values outside the range are clipped."""
    return Scale((float(lowest), float(highest)), (-1.0, 1.0), background, type)


def shared_scale(scales: Sequence[Scale]) -> Scale:
    """One scale for all volumes of a modality with an absolute unit, computed from their own scales.

    The range from the lower end to the shoulder of the median volume becomes [-0.95, 0.9]. The range of the extreme
    volumes, with a margin, lies in a shoulder at either end, so that one metal implant does not flatten all others.

    Args:
        scales: the volumes' own scales, at least one.
    """
    low, upper = median(s.units[0] for s in scales), median(s.upper for s in scales)
    room = _ROOM * (upper - low)
    bottom, top = min(s.units[0] for s in scales) - room, max(s.units[-1] for s in scales) + room
    return Scale((bottom, low, upper, top), (-1.0, _LOW_SHOULDER, _SHOULDER, 1.0), _background(scales))


def typical_scale(scales: Sequence[Scale]) -> Scale:
    """The scale of the volume of median brightness, with the median background."""
    middle = sorted(scales, key=lambda scale: scale.brightness)[(len(scales) - 1) // 2]
    return replace(middle, background=_background(scales))


def _background(scales: Sequence[Scale]) -> float:
    return median_low(s.background for s in scales)
