"""Mistakes that authors of weight schedules make are found, and named."""

from __future__ import annotations

import pytest
import torch

import gantk.testing
from gantk import Moment
from mistakes import failure


class Plain:
    """Grows over the stage."""

    def __call__(self, moment: Moment) -> float:
        return (moment.epoch + 1) / moment.epochs


class OfTensor:
    """A tensor is no number."""

    def __call__(self, moment: Moment) -> float:
        return torch.tensor(1.0)  # type: ignore[return-value]


class Endless:
    """Divides by 0 in one step."""

    def __call__(self, moment: Moment) -> float:
        return float("inf") if moment.step == 17 else 1.0


class Counting:
    """Counts its calls."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, moment: Moment) -> float:
        self.asked += 1
        return 1 / self.asked


def test_a_right_one_passes() -> None:
    cls = type("TestIt", (gantk.testing.WeightScheduleConformance,), {"component": Plain})
    for name in ("signature", "weights", "moment_alone"):
        getattr(cls(), f"test_{name}")()


@pytest.mark.parametrize(
    ("cls", "test", "words"),
    [
        (OfTensor, "weights", "return a finite number, not a tensor"),
        (Endless, "weights", "the weight is inf in step 17"),
        (Counting, "moment_alone", "a moment that is asked for again has another weight"),
    ],
)
def test_wrong_schedules(cls: type, test: str, words: str) -> None:
    assert words in failure(cls, "weight_schedule", test)
