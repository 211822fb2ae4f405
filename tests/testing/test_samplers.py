"""Mistakes that authors of samplers make are found, and named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gantk.testing import SamplerConformance
from gantk.testing.failures import ConformanceError


class Counting:
    """A sampler with state."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, slices: Any) -> np.ndarray:
        self.calls += 1
        return np.full(len(slices), self.calls) + np.arange(len(slices)) * (self.calls > 1)


class Rating:
    """A sampler that changes its arguments."""

    def __call__(self, slices: Any) -> np.ndarray:
        slices.hardness[:] = 0
        return np.ones(len(slices))


class Negative:
    """A sampler with negative weights."""

    def __call__(self, slices: Any) -> np.ndarray:
        return -np.ones(len(slices))


class Short:
    """A sampler with only one weight per patient."""

    def __call__(self, slices: Any) -> np.ndarray:
        return np.ones(3)


@pytest.mark.parametrize(
    ("sampler", "test", "said"),
    [
        (Counting, "test_slices_alone", "asked for again have other weights"),
        (Rating, "test_slices_alone", "it changes the slices"),
        (Negative, "test_weights", "numbers of at least 0"),
        (Short, "test_weights", r"the shape \(3,\)"),
    ],
)
def test_wrong_samplers(sampler: type, test: str, said: str) -> None:
    case = type("Case", (SamplerConformance,), {"component": sampler})()
    with pytest.raises(ConformanceError, match=said):
        getattr(case, test)()
