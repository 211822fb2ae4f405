"""A step of a network that writes down what it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import Translation
from gantk.data.layout import Domain
from gantk.translation import StagePlan, Step, Term, Translator

TAKES, GIVES = Domain("source", None, 3), Domain("target", None, 1)


class Layered(nn.Module):
    """A generator of two layers that writes down what it is asked for."""

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
