"""A step of a network that records its requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import Translation
from gantk.data.layout import Domain
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.translation import Assembly, StagePlan, Step, Term, Translator, assemble
from small_methods import MINE, NETWORK, Watching

TAKES, GIVES = Domain("source", None, 3), Domain("target", None, 1)


class Layered(nn.Module):
    """A generator of two layers that records its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 1, 1)
        self.asked: list[tuple[tuple[int, ...], bool]] = []

    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        self.asked.append((layers, decode))
        first = self.one(image)
        output = torch.tanh(self.two(first)) if decode else None
        if not layers:
            assert output is not None
            return output
        return Translation(output, dict.fromkeys(layers, first))


@pytest.fixture
def step(make_group: Callable[..., Any]) -> Callable[..., Step]:
    def make(
        conditional: bool = False, discriminator: bool = True, terms: list[Term] | None = None, **options: Any
    ) -> Step:
        torch.manual_seed(0)
        judge = nn.Conv2d(4 if conditional else 1, 1, 4, stride=4) if discriminator else None
        translators = {"one": Translator("one", TAKES, GIVES, Layered(), judge, conditional)}
        batch = {"paired": make_group(2, seed=1), "unpaired": make_group(3, seed=2, target=False)}
        return Step(translators, StagePlan("s", ("one",), terms or [], {}, translators), batch, **options)

    return make


@pytest.fixture
def made(registry: Registry) -> Any:
    def make(
        losses: dict[str, Any],
        translators: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        inputs: tuple[str, ...] = ("t1", "t2", "flair"),
    ) -> Assembly:
        mine = Registry()
        mine.add(*registry, *(Component(f"my-{n}", "loss", cls, "mine", "1") for n, cls in MINE.items()))
        mine.add(Component("watching", "discriminator", Watching, "mine", "1"))
        table = {
            "name": "tiny",
            "data": {"dataset": "phantom", "inputs": list(inputs), "target": "t1ce", "crop": [8, 12], **(data or {})},
            "translators": translators or {"one": {"generator": NETWORK, "discriminator": {"use": "watching"}}},
            "losses": losses,
            "schedule": {"use": "constant"},
        }
        return assemble(recipe_from_table(table), mine)

    return make
