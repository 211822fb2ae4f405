"""Scanner units to [-1, 1] and back, one recorded scale per volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gantk.errors import DataError

__all__ = ["BACKGROUND", "Scale", "fit_scale"]

BACKGROUND = -1.0
_SHOULDER = 0.9  # where the upper percentile lands


@dataclass(frozen=True)
class Scale:
    """A strictly increasing, piecewise linear map from scanner units to [-1, 1], exactly invertible.

    Attributes:
        units: increasing knots in scanner units.
        values: their values, from -1 to 1.
    """

    units: tuple[float, ...]
    values: tuple[float, ...]

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
        """Back to scanner units, float32; outside the foreground, where one is given, 0."""
        x = np.interp(v, self.values, self.units).astype(np.float32)
        return x if foreground is None else np.where(foreground, x, np.float32(0))

    def to_dict(self) -> dict[str, list[float]]:
        """Plain JSON types."""
        return {"units": list(self.units), "values": list(self.values)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Scale:
        """The scale that `to_dict` recorded."""
        return cls(tuple(map(float, record["units"])), tuple(map(float, record["values"])))


def fit_scale(volume: np.ndarray, foreground: np.ndarray, upper_percentile: float) -> Scale:
    """One volume's scale: [low, p] -> [-1, 0.9] and [p, max] -> [0.9, 1], where low = min(0, brain minimum).

    The shoulder above the percentile keeps few very bright voxels from compressing the rest, and clips none.

    Args:
        volume: scanner units, any shape.
        foreground: bool, same shape: the brain.
        upper_percentile: p, percentile of the brain's intensities, (0, 100].

    Raises:
        DataError: the volume holds nothing inside the foreground.
    """
    brain = volume[foreground]
    if not brain.size or not brain.any():
        raise DataError("this image is empty inside the brain", mend="Leave the patient out")
    low, high = min(0.0, float(brain.min())), float(brain.max())
    p = float(np.percentile(brain, upper_percentile))
    room = 1e-6 * (high - low)
    if p - low <= room or high - p <= room:  # no shoulder where both sides do not have some width
        return Scale((low, high), (-1.0, 1.0))
    return Scale((low, p, high), (-1.0, _SHOULDER, 1.0))
