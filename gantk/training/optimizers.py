"""Optimizers of one translator: one for each side, with the modules of terms that learn with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.optim import Optimizer

from gantk.recipe.model import OptimizerSettings, Part
from gantk.translation.translator import Translator

_SIDES: dict[str, dict[str, Part]] = {
    "generator": {"generator": "generator", "heads": "heads"},
    "discriminator": {"discriminator": "discriminator", "critics": "discriminator"},
}
"""The parts that learn with a side, and whose rate each has."""


class Optimizers:
    """The two optimizers of a role, `sides["generator"]` and `sides["discriminator"]`.

    Parameter groups are named after the part whose rate they have, and carry their base rate: factors set rates.
    """

    def __init__(self, translator: Translator, settings: OptimizerSettings) -> None:
        self.settings = settings
        modules = dict(translator.parts())
        self.sides: dict[str, Optimizer] = {}
        for side, parts in _SIDES.items():
            groups = [
                {"params": list(modules[part].parameters()), "part": rated, "lr": settings.rates[rated]}
                for part, rated in parts.items()
                if part in modules and any(True for _ in modules[part].parameters())
            ]
            if groups:
                self.sides[side] = _make(settings, groups)

    def set_rates(self, factors: dict[str, float]) -> None:
        """Set each part's learning rate to its base rate times the factor."""
        for group in self._groups():
            group["lr"] = self.settings.rates[group["part"]] * factors[group["part"]]

    @property
    def rates(self) -> dict[str, float]:
        """The present learning rate by part."""
        return {group["part"]: group["lr"] for group in self._groups()}

    def _groups(self) -> Iterator[dict[str, Any]]:
        for optimizer in self.sides.values():
            yield from optimizer.param_groups


def _make(settings: OptimizerSettings, groups: list[dict[str, Any]]) -> Optimizer:
    device = next(p.device for group in groups for p in group["params"])
    fused = {"fused": True} if device.type in ("cpu", "cuda") else {}
    decay = settings.weight_decay
    match settings.use:
        case "adam":
            return torch.optim.Adam(groups, betas=settings.betas, weight_decay=decay, **fused)
        case "adamw":
            return torch.optim.AdamW(groups, betas=settings.betas, weight_decay=decay, **fused)
        case "sgd":
            return torch.optim.SGD(groups, momentum=settings.betas[0], weight_decay=decay, **fused)
        case "rmsprop":
            return torch.optim.RMSprop(groups, weight_decay=decay)
