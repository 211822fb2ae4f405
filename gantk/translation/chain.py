"""A generator with the generators whose outputs it takes, as one network of a group's images; outside of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import lcm

import torch
from torch import Tensor, nn

from gantk.translation.plan import before_it
from gantk.translation.protocols import Translation, output_of
from gantk.translation.translator import Translator

__all__ = ["Chain"]


class Chain(nn.Module):
    """The generators of a translator and of those before it, `(B, C, H, W)` of a group's images to its output.

    Args:
        translators: all, by role.
        role: whose output is made.
        generator: finds the generator for a role; default: the translator's own.

    Attributes:
        networks: the generators by role, in the order in which they run.
        registered: the same as modules, by `role_ROLE`.
        takes: the images of a group that are their inputs.
        gives: the images that the last one makes.
        extra: the declared values beside images, by name.
    """

    def __init__(
        self, translators: Mapping[str, Translator], role: str, generator: Callable[[str], nn.Module] | None = None
    ) -> None:
        super().__init__()
        roles = (*before_it(translators, role), role)
        own = generator or (lambda role: translators[role].generator)
        self.networks = {one: own(one) for one in roles}
        # torch has a few names for itself that a role may have, such as forward
        self.registered = nn.ModuleDict({f"role_{one}": network for one, network in self.networks.items()})
        self._translators = {one: translators[one] for one in roles}
        self.takes, self.gives = translators[role].shown, translators[role].gives
        self.extra = {name: one for made in self._translators.values() for name, one in made.extra.items()}
        self.size_multiple = lcm(*(made.size_multiple for made in self._translators.values()))
        there = list(self.takes.channels or range(self.takes.size))
        self._places = {
            one: [there.index(c) for c in (made.takes.channels or range(made.takes.size))]
            for one, made in self._translators.items()
        }

    @property
    def draws(self) -> bool:
        """Whether a generator makes images of noise."""
        return any(hasattr(network, "sample") for network in self.networks.values())

    def given(self, extra: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The networks' inputs from a group's `extra`; see `Translator.given`."""
        return {n: value for made in self._translators.values() for n, value in made.given(extra).items()}

    def blank(self, image: Tensor) -> dict[str, Tensor]:
        """The networks' inputs beside an image without known values."""
        return {n: value for made in self._translators.values() for n, value in made.blank(image).items()}

    def forward(self, image: Tensor, **given: Tensor) -> Tensor | Translation:
        """The last generator's result at test time: its `sample` if it makes images in steps, otherwise its output."""
        made: dict[str, Tensor] = {}
        answer: Tensor | Translation = image
        for role, network in self.networks.items():
            translator = self._translators[role]
            own = image if self._places[role] == list(range(image.shape[1])) else image[:, self._places[role]]
            taken = torch.cat([own, *(made[other] for other in translator.after)], dim=1) if translator.after else own
            beside = {name: value for name, value in given.items() if name in translator.extra}
            answer = getattr(network, "sample", network)(taken, **translator.taking(beside))
            made[role] = output_of(answer)
        return answer
