"""Scanner units to [-1, 1] and back, one recorded scale per volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gantk.errors import DataError

__all__ = ["BACKGROUND", "DARKEST", "Normalisation", "Scale", "fit_scale", "full_scale", "is_full"]

BACKGROUND = -1.0
DARKEST = BACKGROUND + 2 / 65535  # the least value of foreground, one step of 16 bits above the background
_SHOULDER = 0.9


@dataclass(frozen=True)
class Normalisation:
    """Where a scale's shoulder begins: at `reach` times a percentile of the brain's intensities.

    A percentile that lies in healthy tissue (the 80th: white matter in T1) hardly moves with a tumour, so that brain
    looks alike in patients with much and with no enhancement. One near 100 would dim the brain of those with much.

    Attributes:
        percentile: of the brain's intensities, (0, 100].
        reach: multiple of that percentile, both above the lower end; above 0.
    """

    percentile: float = 80.0
    reach: float = 2.0


@dataclass(frozen=True)
class Scale:
    """A strictly increasing, piecewise linear map from scanner units to [-1, 1], exactly invertible.

    Attributes:
        units: increasing knots in scanner units.
        values: their values, from -1 to 1.
        background: scanner units outside the foreground, whose value is -1; inside, that number is like any other.
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

    def times(self, ratio: float) -> Scale:
        """The scale of an image that is brighter by this ratio."""
        return replace(self, units=tuple(unit * ratio for unit in self.units))

    def apply(self, x: np.ndarray, foreground: np.ndarray) -> np.ndarray:
        """Normalise: float32 in [-1, 1] inside the foreground, exactly -1 outside.

        Args:
            x: scanner units, any shape.
            foreground: bool, same shape.
        """
        out = np.full(x.shape, BACKGROUND, np.float32)
        out[foreground] = np.interp(x[foreground], self.units, self.values)
        return out

    def invert(self, v: np.ndarray, foreground: np.ndarray | None = None) -> np.ndarray:
        """Back to scanner units, float32; outside the foreground, where one is given, the background."""
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


def fit_scale(volume: np.ndarray, foreground: np.ndarray, rule: Normalisation = Normalisation()) -> Scale:
    """The scale of one volume: [low, upper] -> [-1, 0.9], [upper, top] -> [0.9, 1]; low is min(0, brain minimum).

    The shoulder above `upper` keeps a few very bright voxels from compressing all others, and clips none.

    Args:
        volume: scanner units, any shape.
        foreground: bool, same shape: the brain.
        rule: where the shoulder begins.

    Raises:
        DataError: the volume holds nothing inside the foreground.
    """
    brain = volume[foreground]
    if not brain.size or not brain.any():
        raise DataError("this image is empty inside the brain", mend="Leave the patient out")
    low, high = min(0.0, float(brain.min())), float(brain.max())
    upper = low + rule.reach * (float(np.percentile(brain, rule.percentile)) - low)
    if upper - low <= 1e-6 * (high - low):  # almost all of the brain is at its lower end
        upper = high
    top = max(high, upper + (upper - low) * (1 - _SHOULDER) / (1 + _SHOULDER))  # one slope where nothing is brighter
    return Scale((low, upper, top), (-1.0, _SHOULDER, 1.0))


def full_scale(greatest: float) -> Scale:
    """The scale of a picture whatever it shows: [0, greatest] -> [-1, 1], without a shoulder."""
    return Scale((0.0, float(greatest)), (-1.0, 1.0), type="uint8" if greatest <= 255 else "uint16")


def is_full(scale: Scale) -> bool:
    """Whether a scale spans all that unsigned numbers of its type can be: they then mean nothing but brightness."""
    kind = np.dtype(scale.type)
    return kind.kind == "u" and scale.units == (0.0, float(np.iinfo(kind).max))
