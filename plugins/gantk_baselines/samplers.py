"""Samplers that draw classes equally often, or draw slices with large errors more often."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import numpy as np
from pydantic import Field

from gantk import Candidates, Fraction, GantkError, NonNegative, nearest

__all__ = ["Balanced", "Hard"]


class Balanced:
    """Draws every class equally often: a slice has the weight 1 / nᵅ, with the n slices of its class in the group.

    Args:
        by: what defines the class: `tumor` or `core` (whether a slice shows it), `patient`, or a fact that the dataset
            has about subjects, such as the site.
        strength: α, from 0 (all slices equally often) to 1 (all classes equally often).
    """

    def __init__(self, by: str = "core", strength: Fraction = 1.0) -> None:
        self.by, self.strength = by, strength

    def __call__(self, slices: Candidates) -> np.ndarray:
        classes = self._classes(slices)
        counts = Counter(classes)
        return np.array([counts[one] ** -self.strength for one in classes])

    def _classes(self, slices: Candidates) -> list[object]:
        known = {"tumor": slices.tumor, "core": slices.core, "patient": slices.patients}
        if self.by in known:
            return list(known[self.by])
        names = [*known, *dict.fromkeys(name for facts in slices.facts for name in facts)]
        if self.by not in names:
            raise GantkError(f"slices have no property {self.by!r}", where="by", mend=nearest(self.by, names))
        return [facts.get(self.by) for facts in slices.facts]


class Hard:
    """Draws hard slices more often: the weight is (d / d̄)ᵅ, with the last reported error d of a slice and the mean d̄.

    Terms such as `l1` and `l2` report errors. Slices without a reported error have the weight 1. A weight proportional
    to a power of the error is prioritized sampling (Schaul et al., "Prioritized experience replay", ICLR 2016,
    equation 1), here without its correction of the gradient.

    Args:
        strength: α; 0 draws all slices equally often.
        limit: the largest weight; its reciprocal is the smallest.
    """

    def __init__(
        self, strength: NonNegative = 1.0, limit: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 5.0
    ) -> None:
        self.strength, self.limit = strength, limit

    def __call__(self, slices: Candidates) -> np.ndarray:
        known = np.isfinite(slices.hardness)
        mean = slices.hardness[known].mean() if known.any() else 0.0
        relative = np.where(known & (mean > 0), np.nan_to_num(slices.hardness) / max(mean, 1e-30), 1.0)
        weights: np.ndarray = np.clip(relative**self.strength, 1 / self.limit, self.limit)
        return weights
