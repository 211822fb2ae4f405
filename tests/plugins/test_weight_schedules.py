"""Weights of terms over the training."""

from __future__ import annotations

import math

import pytest

from gantk import Moment
from gantk_baselines.weight_schedules import Ramp


def at(ramp: Ramp, *steps: int) -> list[float]:
    return [ramp(Moment("training", 0, 1, step)) for step in steps]


def test_linear_ramp() -> None:
    assert at(Ramp(5, 4), 0, 1, 2, 4, 100) == [0, 1.25, 2.5, 5, 5]
    assert at(Ramp(0, 10, start=2, after=5), 0, 5, 10, 15) == [2, 2, 1, 0]


def test_sigmoid_ramp() -> None:
    """exp(−5·(1 − t)²), and nothing before its first step."""
    assert at(Ramp(2, 4, shape="sigmoid"), 0, 2, 4) == pytest.approx([0, 2 * math.exp(-1.25), 2])
