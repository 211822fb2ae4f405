"""What a view offers to terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import Translation
from gantk.data.layout import Domain
from gantk.translation import StagePlan, Step, Term, Translator, View

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


def test_images_that_recipes_name(step: Callable[..., Step]) -> None:
    here = step()
    view = View(here, "one", "unpaired")
    paired = here.batch["paired"]
    assert view.image("paired.target") is paired.target
    assert view.image("paired.source") is paired.source
    assert view.image("source") is here.batch["unpaired"].source
    assert View(here, "one", "paired").image("target") is paired.target
    answer = view.image("one.output")
    assert not answer.requires_grad
    assert torch.equal(answer, view.output)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_judged_image_comes_with_its_own_source(step: Callable[..., Step], conditional: bool) -> None:
    here = step(conditional)
    view = View(here, "one", "unpaired")
    seen: list[Tensor] = []
    here.translators["one"].discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    view.judge_image("paired.target")
    view.judge()
    paired, unpaired = here.batch["paired"], here.batch["unpaired"]
    expected = [(paired.source, paired.target), (unpaired.source, view.output)]
    for given, (source, image) in zip(seen, expected, strict=True):
        assert torch.equal(given, torch.cat([source, image], dim=1) if conditional else image)


def test_an_output_takes_the_sources_shape(step: Callable[..., Step]) -> None:
    view = View(step(), "one", "paired")
    repeated, first = view.as_source(view.output), view.as_source(view.output, "first")
    assert torch.equal(repeated, torch.cat([view.output] * 3, dim=1))
    assert torch.equal(first, torch.cat([view.output, view.source[:, 1:]], dim=1))
    assert view.as_source(view.source) is view.source
