"""Schedulers: the stages of a training, the roles that each trains, and the course of rates and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType, Protocol

from gantk.ranges import Count

MetricName = NewType("MetricName", str)
"""A component's parameter of this type names a metric that is measured after epochs; the core checks it."""


@dataclass(frozen=True)
class Stage:
    """A span of training.

    Args:
        name: as the recipe's `stages = [...]` lists name it.
        epochs: its length, at most.
        roles: the translators that it trains.
        history: how many epochs back weights can be restored (`Control.restore`).
    """

    name: str
    epochs: int
    roles: tuple[str, ...]
    history: int = 0


class Control(Protocol):
    """The actions that a scheduler may take between epochs."""

    def copy(self, source: str, target: str, parts: Sequence[str], *, into: str = "", shared: bool = False) -> None:
        """Copy the weights of these parts (generator, heads, discriminator) from one role to another.

        `into` names the submodule of the target's part that receives them (`streams.0`), by default the part itself;
        with `shared` only weights with equal name and shape are copied.
        """

    def restore(self, role: str, stage: str, epoch: int) -> None:
        """Give a role the weights that it had at the end of an epoch of a stage that keeps a history."""

    def stop(self) -> None:
        """End the training with this epoch, without the stages that would follow; called after an epoch."""

    def note(self, text: str) -> None:
        """Show a note to the user."""


class Scheduler:
    """The base of all schedulers: one stage of constant rates over every role.

    Subclasses override methods as needed. A scheduler with state implements `state_dict` and
    `load_state_dict` with JSON-compatible values, so that a resumed run goes on as if it had never stopped.

    Args:
        epochs: epochs of the single stage.
    """

    def __init__(self, epochs: Count = 100) -> None:
        self.epochs = epochs

    def stages(self, roles: Sequence[str]) -> list[Stage]:
        """The stages in order, for a recipe with these translators."""
        return [Stage("training", self.epochs, tuple(roles))]

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        """The factor on the learning rate of a role's part (generator, heads, discriminator) in an epoch from 0."""
        return 1.0

    def step_rate(self, stage: Stage, role: str, part: str, step: int, steps: int) -> float:
        """The factor on the learning rate of a role's part in a step of a stage; steps count from 0 within the stage,
        whose epochs have `steps` steps each. By default `rate` of the step's epoch."""
        return self.rate(stage, role, part, step // steps)

    def weight(self, stage: Stage, role: str, epoch: int) -> float:
        """The factor on all of a role's generator terms in an epoch from 0."""
        return 1.0

    def before_stage(self, stage: Stage, control: Control) -> None:
        """Called once before a stage's first step; optimizers start without state after it."""

    def after_epoch(self, stage: Stage, epoch: int, metrics: Mapping[str, float], control: Control) -> bool:
        """Called after each epoch with its validation metrics (`ROLE/METRIC`); True ends the stage here."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """The state that must survive a resume."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""


class Together(Scheduler):
    """A scheduler with others beside it: the first has the stages, factors multiply, and any may end a stage.

    Args:
        schedulers: the first, and those beside it.
    """

    def __init__(self, schedulers: Sequence[Scheduler]) -> None:
        self.schedulers = tuple(schedulers)

    def stages(self, roles: Sequence[str]) -> list[Stage]:
        return self.schedulers[0].stages(roles)

    def step_rate(self, stage: Stage, role: str, part: str, step: int, steps: int) -> float:
        return math.prod(scheduler.step_rate(stage, role, part, step, steps) for scheduler in self.schedulers)

    def weight(self, stage: Stage, role: str, epoch: int) -> float:
        return math.prod(scheduler.weight(stage, role, epoch) for scheduler in self.schedulers)

    def before_stage(self, stage: Stage, control: Control) -> None:
        for scheduler in self.schedulers:
            scheduler.before_stage(stage, control)

    def after_epoch(self, stage: Stage, epoch: int, metrics: Mapping[str, float], control: Control) -> bool:
        ended = [scheduler.after_epoch(stage, epoch, metrics, control) for scheduler in self.schedulers]
        return any(ended)

    def state_dict(self) -> dict[str, Any]:
        return {str(number): scheduler.state_dict() for number, scheduler in enumerate(self.schedulers)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for number, scheduler in enumerate(self.schedulers):
            scheduler.load_state_dict(state[str(number)])
