"""Mistakes that authors of schedulers make are found, and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from gantk import Scheduler, Stage
from mistakes import failure


class Forgetful(Scheduler):
    """Ends after three epochs, which it counts outside of checkpoints."""

    def __init__(self) -> None:
        super().__init__(6)
        self.seen = 0

    def after_epoch(self, stage: Stage, epoch: int, metrics: Mapping[str, float], control: Any) -> bool:
        self.seen += 1
        return self.seen == 3


class Unwritable(Forgetful):
    """A scheduler with a state that is not JSON."""

    def state_dict(self) -> dict[str, Any]:
        return {"seen": torch.tensor(self.seen)}


class Empty(Scheduler):
    """A scheduler without stages."""

    def stages(self, roles: Any) -> list[Stage]:
        return []


class Unkept(Scheduler):
    """A scheduler that returns to an epoch that it does not keep."""

    def stages(self, roles: Any) -> list[Stage]:
        return [Stage("a", 4, tuple(roles), history=1), Stage("b", 1, tuple(roles))]

    def before_stage(self, stage: Stage, control: Any) -> None:
        if stage.name == "b":
            control.restore("generator", "a", 1)


class Drifting(Scheduler):
    """A scheduler whose rate depends on the number of calls."""

    def __init__(self) -> None:
        super().__init__(3)
        self.factor = 1.0

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        self.factor *= 0.9
        return self.factor


@pytest.mark.parametrize(
    ("component", "test", "words"),
    [
        (Forgetful, "resume", "goes on otherwise"),
        (Unwritable, "resume", "its state is not JSON"),
        (Empty, "stages", "there is no stage"),
        (Unkept, "training", "it restores epoch 1 of the stage 'a'"),
        (Drifting, "rates", "differ when asked for again"),
    ],
)
def test_wrong_schedulers(component: type, test: str, words: str) -> None:
    assert words in failure(component, "scheduler", test)
