"""Loss and map components placed in a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim import Optimizer

from gantk.errors import PluginError
from gantk.plugins.blame import blame
from gantk.plugins.component import Component
from gantk.recipe.translators import OptimizerSettings
from gantk.translation.protocols import Moment, Needs, WeightSchedule

if TYPE_CHECKING:
    from gantk.translation.view import View


@dataclass(frozen=True)
class WeightSlot:
    """A weight schedule at its place, `where`."""

    where: str
    component: WeightSchedule
    origin: str

    def at(self, moment: Moment) -> float:
        """The weight in a step.

        Raises:
            PluginError: the schedule gives no finite number.
        """
        with blame(self.origin, self.where):
            weight = self.component(moment)
        if not isinstance(weight, int | float) or not math.isfinite(weight):
            raise PluginError(
                f"the {self.origin} gave {weight!r} in step {moment.step}",
                where=self.where,
                mend="return a finite number",
            )
        return weight


@dataclass(frozen=True)
class OptimizerSlot:
    """An optimizer at its place, `where`, with the parameters and rates that the recipe gives it."""

    where: str
    component: Component
    values: Mapping[str, Any]
    settings: OptimizerSettings

    def make(self, groups: list[dict[str, Any]]) -> Optimizer:
        """An optimizer of parameter groups, which carry their rates as `lr`.

        Raises:
            RecipeError: it refuses its parameters.
            PluginError: it is no optimizer of torch's kind.
        """
        rate = self.settings.rates["generator"]
        made = self.component.make(self.values, self.where, params=groups, lr=rate)
        if not isinstance(made, Optimizer):
            raise PluginError(
                f"the {self.component.origin} is a {type(made).__name__}",
                where=self.where,
                mend="derive it from torch.optim.Optimizer",
            )
        return made


@dataclass(frozen=True)
class Term:
    """A loss component at its place: what it trains, on which group, with which map and weight.

    `references` are the images that its parameters name; `head` and `pool` are the keys of its projection heads and
    of its image pool in its translator, None where it has none; `origin` names component and plugin in errors.
    """

    name: str
    role: str
    group: str
    loss: Any
    weight: float | WeightSlot = 1.0
    map: str | None = None
    stages: frozenset[str] | None = None
    needs: Needs = field(default_factory=Needs)
    references: tuple[str, ...] = ()
    head: str | None = None
    pool: str | None = None
    origin: str = "loss"

    @property
    def generator_loss(self) -> Callable[[View], Tensor | None] | None:
        """The generator's side; None where the loss has none."""
        return self.loss if callable(self.loss) else None

    @property
    def discriminator_loss(self) -> Callable[[View], Tensor | None] | None:
        """The discriminator's side of an adversarial loss."""
        return getattr(self.loss, "discriminator", None)

    def weight_at(self, moment: Moment) -> float:
        """The factor on the generator's side in a step. Raises as its `WeightSlot` does."""
        return self.weight.at(moment) if isinstance(self.weight, WeightSlot) else self.weight

    def active(self, stage: str, roles: tuple[str, ...]) -> bool:
        """Whether the term counts in a stage that trains these roles."""
        return self.role in roles and (self.stages is None or stage in self.stages)


@dataclass(frozen=True)
class BalanceSlot:
    """A balance at its place: the terms that it weighs, and the key of its module in their translator's heads."""

    terms: tuple[str, ...]
    role: str
    key: str
    origin: str


@dataclass(frozen=True)
class MapSlot:
    """A weight-map component at its place."""

    name: str
    component: Any
    stages: frozenset[str] | None = None
    origin: str = "weight map"

    @property
    def needs(self) -> Needs:
        """What the map declares that it reads."""
        needs: Needs = getattr(self.component, "needs", Needs())
        return needs

    def active(self, stage: str) -> bool:
        """Whether the map is used in a stage; elsewhere it is the constant 1."""
        return self.stages is None or stage in self.stages


@dataclass(frozen=True)
class TransformSlot:
    """A transform component at its place."""

    name: str
    component: Any
    groups: frozenset[str] | None = None
    stages: frozenset[str] | None = None
    origin: str = "transform"
    on_request: bool = False

    def active(self, stage: str, group: str) -> bool:
        """Whether the transform changes a group in a stage, unasked."""
        return (
            not self.on_request
            and (self.stages is None or stage in self.stages)
            and (self.groups is None or group in self.groups)
        )
