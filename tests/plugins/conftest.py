"""A loss or map in a step of two small translators, all in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk.data.layout import Domain
from gantk.translation import MapSlot, StagePlan, Step, Term, Translator, View

TAKES, GIVES = Domain("source", None, 3), Domain("target", None, 1)


class Blend(nn.Module):
    """A generator: a 1×1 convolution and tanh."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.layer(image))


class Critic(nn.Module):
    """A discriminator: a 4×4 strided convolution, smooth so that it can be differentiated twice."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, 1, 4, stride=4)

    def forward(self, image: Tensor) -> Tensor:
        scores = self.layer(image)
        return scores + 0.3 * scores**2


@pytest.fixture
def at(make_group: Callable[..., Any]) -> Callable[..., View]:
    """The view of a loss: translators `teacher` and `student`, groups `paired` and `unpaired`, 3 inputs, 8×12."""

    def make(
        loss: Any = None,
        *,
        role: str = "teacher",
        group: str = "paired",
        conditional: bool = False,
        weight_map: Callable[[View], Tensor] | None = None,
        sizes: tuple[int, int] = (2, 2),
    ) -> View:
        torch.manual_seed(5)
        translators = {
            name: Translator(name, TAKES, GIVES, Blend(3), Critic(4 if conditional else 1), conditional).double()
            for name in ("teacher", "student")
        }
        for translator in translators.values():
            for parameter in translator.parameters():
                nn.init.normal_(parameter, 0, 0.6)
        term = Term("term", role, group, loss or (lambda view: view.output.mean()), map="m" if weight_map else None)
        maps = {"m": MapSlot("m", weight_map)} if weight_map else {}
        plan = StagePlan("training", ("teacher", "student"), [term], maps, translators)
        batch = {
            "paired": make_group(sizes[0], seed=1, shape=(8, 12), dtype=torch.float64),
            "unpaired": make_group(sizes[1], seed=2, shape=(8, 12), target=False, dtype=torch.float64),
        }
        return View(Step(translators, plan, batch), role, group, term)

    return make
