"""Optimizers of one translator: one for each side, with the modules of terms that learn with it."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gantk.errors import RecipeError, nearest
from gantk.recipe.values import Part
from gantk.training.torch_optimizers import Groups
from gantk.translation.residual import bare
from gantk.translation.term import OptimizerSlot
from gantk.translation.translator import Translator

SIDES: dict[str, dict[str, Part]] = {
    "generator": {"generator": "generator", "heads": "heads"},
    "discriminator": {"discriminator": "discriminator", "critics": "discriminator"},
}
"""The parts that learn with a side, each with the part whose rate it uses."""


class Optimizers:
    """The two optimizers of a role, `sides["generator"]` and `sides["discriminator"]`.

    Parameter groups are named after the part that they belong to. Weights whose rate is 0 are in no optimizer.

    Args:
        translator: the networks to train.
        slot: makes the optimizers.
        stage: the current stage, for groups whose rate applies only in some stages.

    Raises:
        RecipeError: a group of the recipe matches no weight.
    """

    def __init__(self, translator: Translator, slot: OptimizerSlot, stage: str = "") -> None:
        self.slot, self.stage = slot, stage
        modules = dict(translator.parts())
        self._check_matches(modules)
        self.sides: dict[str, Optimizer] = {}
        for side, parts in SIDES.items():
            groups = [
                group for part, rated in parts.items() if part in modules for group in self._split(modules[part], rated)
            ]
            if groups:
                self.sides[side] = slot.make(groups)
        self._bases = [group["lr"] for group in self._groups()]

    def set_rates(self, factors: dict[str, float]) -> None:
        """Set each learning rate to its base rate times its part's factor."""
        for group, base in zip(self._groups(), self._bases, strict=True):
            group["lr"] = base * factors[group["part"]]

    @property
    def rates(self) -> dict[str, float]:
        """The current learning rate by part; if a part has several, the part's own."""
        return {group["part"]: group["lr"] for group in reversed(list(self._groups()))}

    def _groups(self) -> Iterator[dict[str, Any]]:
        for optimizer in self.sides.values():
            yield from optimizer.param_groups

    def _split(self, module: nn.Module, part: Part) -> Groups:
        """The weights of a part by their rate: the part's own, and that of the first group that matches them."""
        said = self.slot.settings
        rated = [group for group in said.groups if group.part == part and group.active(self.stage)]
        found: Groups = [{"params": [], "part": part, "lr": said.rates[part]}]
        found += [{"params": [], "part": part, "lr": group.rate} for group in rated]
        for name, parameter in bare(module).named_parameters():
            matching = (place for place, group in enumerate(rated, 1) if fnmatchcase(name, group.match))
            found[next(matching, 0)]["params"].append(parameter)
        return [group for group in found if group["params"] and group["lr"]]

    def _check_matches(self, modules: dict[str, nn.Module]) -> None:
        names = {part: [n for n, _ in bare(module).named_parameters()] for part, module in modules.items()}
        names["discriminator"] = [*names.get("discriminator", []), *names.get("critics", [])]
        for number, group in enumerate(self.slot.settings.groups):
            known = names.get(group.part, [])
            if not any(fnmatchcase(name, group.match) for name in known):
                raise RecipeError(
                    f"no weight of the {group.part} matches {group.match!r}",
                    where=f"{self.slot.where}.groups.{number}.match",
                    mend=f"{nearest(group.match, known)}; * stands for any text",
                )
