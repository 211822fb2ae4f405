"""Single-stage schedules against their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from gantk import RecipeError, Scheduler
from gantk_baselines.schedules import Constant, Cosine, LinearDecay, Warmup


def rates(scheduler: Scheduler) -> list[float]:
    (stage,) = scheduler.stages(["a", "b"])
    assert stage.roles == ("a", "b")
    assert stage.name == "training"
    found = [scheduler.rate(stage, "a", "generator", epoch) for epoch in range(stage.epochs)]
    assert found == [scheduler.rate(stage, "b", "discriminator", epoch) for epoch in range(stage.epochs)]
    assert all(scheduler.weight(stage, "a", epoch) == 1 for epoch in range(stage.epochs))
    return found


def test_constant() -> None:
    assert rates(Constant(3)) == [1, 1, 1]


@pytest.mark.parametrize(("epochs", "decay"), [(200, 100), (20, 10), (7, 7), (10, 1), (5, 0)])
def test_linear_decay_is_cyclegans(epochs: int, decay: int) -> None:
    # networks.py of the published code, epoch_count = 1: 1 − max(0, e + 1 − n_epochs) / (n_epochs_decay + 1)
    expected = [1 - max(0, e + 1 - (epochs - decay)) / float(decay + 1) for e in range(epochs)]
    assert rates(LinearDecay(epochs, decay)) == pytest.approx(expected)
    assert all(rate > 0 for rate in expected)


def test_linear_decay_takes_the_second_half_by_default() -> None:
    assert rates(LinearDecay(9)) == rates(LinearDecay(9, 4))


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine(floor: float) -> None:
    expected = [floor + (1 - floor) * (1 + math.cos(math.pi * e / 10)) / 2 for e in range(10)]
    assert rates(Cosine(10, floor=floor)) == pytest.approx(expected)


def test_cosine_after_a_warm_up() -> None:
    found = rates(Cosine(10, warmup_epochs=4, warmup_start=0.2))
    assert found[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert found[4:] == pytest.approx([(1 + math.cos(math.pi * e / 10)) / 2 for e in range(4, 10)])


def test_warm_up() -> None:
    assert rates(Warmup(8, warmup_epochs=5, warmup_start=0.5)) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1])


@pytest.mark.parametrize("epochs", [0, -1])
def test_a_stage_without_epochs_would_never_end_and_is_refused(build: Callable[..., Any], epochs: int) -> None:
    with pytest.raises(RecipeError, match=f"schedule: the stage 'training' has {epochs} epochs"):
        build("pix2pix.toml", [f"schedule.epochs={epochs}"])
