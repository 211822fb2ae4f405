"""Actions of schedulers between epochs: copy weights, end a stage or the training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from gantk.errors import PluginError, RecipeError
from gantk.training.checkpoint import newest_checkpoint, restore
from gantk.training.engine import Engine
from gantk.training.scheduler import Scheduler, Stage
from gantk.training.state import Position
from tiny_engine import TABLE, assert_equal, weights

pytestmark = pytest.mark.slow


def test_a_schedulers_state_survives_and_it_may_end_a_stage(engine: Any) -> None:
    class Counting(Scheduler):
        def __init__(self) -> None:
            super().__init__(epochs=9)
            self.seen = 0

        def stages(self, roles: Any) -> list[Stage]:
            return [Stage("one", 9, tuple(roles), history=1), Stage("two", 1, tuple(roles))]

        def before_stage(self, stage: Stage, control: Any) -> None:
            if stage.name == "two":
                control.restore("g", "one", 0)
                control.note("back to the first epoch")

        def after_epoch(self, stage: Stage, epoch: int, metrics: Any, control: Any) -> bool:
            self.seen += 1
            return stage.name == "one" and epoch == 1

        def state_dict(self) -> dict[str, Any]:
            return {"seen": self.seen}

        def load_state_dict(self, state: Mapping[str, Any]) -> None:
            self.seen = state["seen"]

    tested = engine()
    tested.state.scheduler = Counting()
    tested.stages = tested.state.scheduler.stages(["g"])
    kept: dict[int, dict[str, torch.Tensor]] = {}
    done, begins = tested.observer.epoch_done, tested.observer.stage_begins

    def epoch_done(stage: Stage, position: Position, metrics: Any) -> None:
        done(stage, position, metrics)
        kept[position.total] = weights(tested)

    def stage_begins(stage: Stage, *arguments: Any) -> None:
        begins(stage, *arguments)
        if stage.name == "two":
            assert_equal(weights(tested), kept[3])
            assert not any(o.state for o in tested.state.optimizers["g"].sides.values())  # without state

    tested.observer.epoch_done, tested.observer.stage_begins = epoch_done, stage_begins
    tested.run()
    assert tested.observer.notes == ["back to the first epoch"]
    assert [name for name, _ in tested.observer.stages] == ["one", "two"]
    assert len(tested.observer.steps) == 12
    again = engine()
    again.state.scheduler = Counting()
    checkpoint = newest_checkpoint(tested.checkpoints)
    assert checkpoint is not None
    restore(again.state, checkpoint)
    assert again.state.scheduler.seen == 3


TWO = {
    "translators": {
        "g": TABLE["translators"]["g"],
        "h": {"generator": {"use": "resnet", "channels": 2, "blocks": 2, "antialias": False, "dropout": 0.3}},
    },
    "losses": TABLE["losses"] | {"other": {"use": "l1", "on": "h"}},
}


def test_weights_that_two_networks_share_can_be_handed_on(engine: Any) -> None:
    tested = engine(**TWO)
    control = tested._control()
    small, large = (tested.state.translators[role].generator for role in ("g", "h"))
    before = {name: tensor.clone() for name, tensor in large.state_dict().items()}
    with pytest.raises(PluginError, match="does not fit"):
        control.copy("g", "h", ("generator",))
    large.load_state_dict(before)
    control.copy("g", "h", ("generator",), shared=True)
    common = {k: v for k, v in small.state_dict().items() if k in before and before[k].shape == v.shape}
    after = large.state_dict()
    assert common
    assert len(common) < len(after)
    assert_equal(before | common, after)


def test_weights_can_go_into_a_part_of_a_network(engine: Any) -> None:
    tested = engine(**TWO)
    control = tested._control()
    small, large = (tested.state.translators[role] for role in ("g", "h"))
    large.generator = torch.nn.ModuleDict({"streams": torch.nn.ModuleList([copy.deepcopy(small.generator)])})
    torch.nn.init.zeros_(next(iter(large.generator.parameters())))
    control.copy("g", "h", ("generator",), into="streams.0")
    assert_equal(small.generator.state_dict(), large.generator["streams"][0].state_dict())
    with pytest.raises(PluginError, match=r"at 'streams\.1'"):
        control.copy("g", "h", ("generator",), into="streams.1")
    with pytest.raises(PluginError, match="no weight in common"):
        control.copy("g", "h", ("generator",), shared=True)
    with pytest.raises(RecipeError, match=r"not a translator; known: g, h"):
        control.copy("i", "h", ("generator",))


def test_a_scheduler_may_end_the_training(engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(schedule={"use": "constant", "epochs": 5})
    seen: list[int] = []

    def after_epoch(stage: Stage, epoch: int, metrics: Any, control: Any) -> bool:
        seen.append(epoch)
        if epoch == 1:
            control.stop()
        return False

    monkeypatch.setattr(made.state.scheduler, "after_epoch", after_epoch)
    made.run()
    assert seen == [0, 1]
    assert made.state.position.stage == len(made.stages)
