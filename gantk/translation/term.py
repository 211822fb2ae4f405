"""Loss and map components placed in a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gantk.translation.protocols import Needs

if TYPE_CHECKING:
    from gantk.translation.view import View


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
    weight: float = 1.0
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

    def active(self, stage: str, roles: tuple[str, ...]) -> bool:
        """Whether the term counts in a stage that trains these roles."""
        return self.role in roles and (self.stages is None or stage in self.stages)


@dataclass(frozen=True)
class MapSlot:
    """A weight-map component at its place."""

    name: str
    component: Any
    stages: frozenset[str] | None = None
    origin: str = "weight map"

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

    def active(self, stage: str, group: str) -> bool:
        """Whether the transform changes a group in a stage."""
        return (self.stages is None or stage in self.stages) and (self.groups is None or group in self.groups)
