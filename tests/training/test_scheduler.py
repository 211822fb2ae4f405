"""Schedulers: their stages, rates by step, and several beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gantk.errors import Interrupted, RecipeError
from gantk.training.checkpoint import newest_checkpoint, restore
from gantk.training.engine import Engine, check_stages
from gantk.training.scheduler import Scheduler, Stage, Together
from tiny_engine import assert_equal, weights

pytestmark = pytest.mark.slow


def test_stages_are_checked(engine: Any) -> None:
    with pytest.raises(RecipeError, match=r"no stage 'trainig'.*did you mean 'training'"):
        engine(losses={"pixelwise": {"use": "l1", "on": "g", "stages": ["trainig"]}})
    with pytest.raises(RecipeError, match="'epochs' of scheduler 'constant' is 0"):
        engine(schedule={"use": "constant", "epochs": 0})


def test_a_stage_has_a_name(engine: Any) -> None:
    tested = engine()
    with pytest.raises(RecipeError, match=r"schedule: a stage cannot be called '\.\./x'"):
        check_stages(tested.recipe, [Stage("../x", 1, ("g",))])


def test_schedulers_beside_the_first_multiply_and_end_stages(engine: Any) -> None:
    class Half(Scheduler):
        def rate(self, *arguments: Any) -> float:
            return 0.5

        def after_epoch(self, stage: Stage, epoch: int, metrics: Any, control: Any) -> bool:
            self.epoch = epoch
            return epoch == 1

        def state_dict(self) -> dict[str, Any]:
            return {"epoch": self.epoch}

        def load_state_dict(self, state: Mapping[str, Any]) -> None:
            self.epoch = state["epoch"]

    tested = engine()
    tested.state.scheduler = Together([tested.state.scheduler, Half(), Half()])
    tested.run()
    assert [p.epoch for p in tested.observer.epochs] == [0, 1]
    assert tested.observer.steps[0][2]["g/generator"] == pytest.approx(2e-4 / 4)
    checkpoint = newest_checkpoint(tested.checkpoints)
    assert checkpoint.facts["scheduler"] == {"0": {}, "1": {"epoch": 1}, "2": {"epoch": 1}}
    restore(tested.state, checkpoint)


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_rates_by_step_are_exact_and_survive_a_resume(
    engine: Callable[..., Engine], tmp_path: Path, stop_after: int
) -> None:
    warmup = {"use": "warmup", "warmup_steps": 4, "warmup_start": 0.2, "epochs": 2}
    whole = engine(folder=tmp_path / "whole", schedule=warmup)
    whole.run()
    rates = [rates["g/generator"] for _, _, rates in whole.observer.steps]
    wanted = [2e-4 * (0.2 + 0.8 * min(1, step / 4)) for step in range(len(rates))]
    assert rates == pytest.approx(wanted)
    assert len(rates) > 4
    seen: list[None] = []
    first = engine(lambda: seen.append(None) or len(seen) == stop_after, tmp_path / "resumed", schedule=warmup)
    with pytest.raises(Interrupted):
        first.run()
    second = engine(folder=tmp_path / "resumed", schedule=warmup)
    restore(second.state, newest_checkpoint(second.checkpoints))
    second.run()
    assert [r["g/generator"] for _, _, r in (*first.observer.steps, *second.observer.steps)] == rates
    assert_equal(weights(second), weights(whole))
