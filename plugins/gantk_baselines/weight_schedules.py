"""Schedules for the weights of terms."""

from __future__ import annotations

import math
from typing import Literal

from gantk import Count, Moment, NonNegative, Whole

__all__ = ["Ramp"]


class Ramp:
    """A ramp: w(s) = a + (b − a)·r(t) with t = (s − s₀)/n, clipped to [0, 1], in step s (from 0) of the training.

    Linear, r(t) = t. As a sigmoid, r(t) = exp(−5·(1 − t)²) for t > 0 and r(0) = 0, the ramp of consistency terms (Laine
    and Aila, "Temporal ensembling for semi-supervised learning", ICLR 2017). If b < a, the weight falls.

    Args:
        to: b, the weight at the end and after it.
        steps: n, the length of the ramp in steps.
        start: a, the weight before the ramp.
        after: s₀, the step at which the ramp begins.
        shape: linear or sigmoid.
    """

    def __init__(
        self,
        to: NonNegative = 1.0,
        steps: Count = 1000,
        start: NonNegative = 0.0,
        after: Whole = 0,
        shape: Literal["linear", "sigmoid"] = "linear",
    ) -> None:
        self.to = to
        self.steps = steps
        self.start = start
        self.after = after
        self.shape = shape

    def __call__(self, moment: Moment) -> float:
        along = min(max((moment.step - self.after) / self.steps, 0.0), 1.0)
        if self.shape == "sigmoid" and along > 0:
            along = math.exp(-5 * (1 - along) ** 2)
        return self.start + (self.to - self.start) * along
