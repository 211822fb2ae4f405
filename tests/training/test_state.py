"""Averages of weights: their networks, their beginning, and equality after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gantk.errors import Interrupted
from gantk.training.checkpoint import newest_checkpoint, restore
from tiny_engine import TABLE, assert_equal, weights

pytestmark = pytest.mark.slow


def test_the_average_is_that_of_the_weights(engine: Any) -> None:
    """θ̄ ← 0.9·θ̄ + 0.1·θ after every step, from the initial weights on; θ̄ is evaluated."""
    tested = engine(training={"ema": 0.9})
    network = tested.state.translators["g"].generator
    own = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    done = tested.observer.step_done

    def follow(*arguments: Any) -> None:
        done(*arguments)
        for name, parameter in network.named_parameters():
            own[name] = 0.9 * own[name] + 0.1 * parameter.detach()

    tested.observer.step_done = follow
    tested.run()
    average = dict(tested.state.generator("g").named_parameters())
    assert tested.state.generator("g") is not network
    for name, value in own.items():
        assert torch.allclose(average[name], value, rtol=1e-4, atol=1e-6), name
    assert any(not torch.equal(average[n], p) for n, p in network.named_parameters())


AVERAGED = {**TABLE["translators"], "mean": {"average_of": "g", "decay": 0.9}}


def test_a_role_can_be_the_average_of_another(engine: Any) -> None:
    """The role equals the average that `training.ema` keeps, at every step, and no optimizer has its weights."""
    plain, tested = engine(training={"ema": 0.9}), engine(translators=AVERAGED)
    begun = tested.state.generator("mean").state_dict()
    assert_equal(begun, tested.state.generator("g").state_dict())
    assert set(tested.state.optimizers) == {"g"}
    assert not any(p.requires_grad for p in tested.state.generator("mean").parameters())
    plain.run()
    tested.run()
    assert [stage.roles for stage in tested.stages] == [("g",)]
    assert tested.observer.steps == plain.observer.steps
    assert_equal(tested.state.generator("g").state_dict(), plain.state.translators["g"].generator.state_dict())
    assert_equal(tested.state.generator("mean").state_dict(), plain.state.generator("g").state_dict())


def test_an_average_begins_anew_where_a_schedule_sets_weights(engine: Any) -> None:
    tested = engine(translators=AVERAGED | {"other": TABLE["translators"]["g"]})
    tested._control().copy("other", "g", ("generator",))
    wanted = tested.state.generator("other").state_dict()
    assert_equal(tested.state.generator("g").state_dict(), wanted)
    assert_equal(tested.state.generator("mean").state_dict(), wanted)


def test_a_term_learns_from_an_average(engine: Any) -> None:
    """Its answer is that of the step before; with the weight of the term the trained weights differ."""
    follow = {"use": "consistency", "on": "g", "teacher": "mean"}
    without = engine(translators=AVERAGED)
    without.run()
    tested = engine(translators=AVERAGED, losses={**TABLE["losses"], "follow": follow})
    tested.run()
    assert all(losses["g/follow"] > 0 for _, losses, _ in tested.observer.steps[1:])
    assert any(
        not torch.equal(a, b)
        for a, b in zip(
            tested.state.generator("g").parameters(), without.state.generator("g").parameters(), strict=True
        )
    )


@pytest.mark.parametrize("stop_after", [1, 3])
def test_an_average_that_terms_follow_goes_on_identically(engine: Any, tmp_path: Path, stop_after: int) -> None:
    ramp = {"use": "ramp", "to": 4.0, "steps": 6}
    follow = {"use": "consistency", "on": "g", "teacher": "mean", "weight": ramp}
    tables: Any = {"translators": AVERAGED, "losses": {**TABLE["losses"], "follow": follow}}
    whole = engine(folder=tmp_path / "whole", **tables)
    whole.run()
    calls: list[int] = []
    stopped = engine(lambda: calls.append(1) or len(calls) > stop_after, **tables)
    with pytest.raises(Interrupted):
        stopped.run()
    resumed = engine(**tables)
    checkpoint = newest_checkpoint(resumed.checkpoints)
    assert checkpoint is not None
    restore(resumed.state, checkpoint)
    resumed.run()
    assert_equal(weights(resumed), weights(whole))
