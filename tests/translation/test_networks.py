"""The networks of a recipe: seeds of their own, channels from the data, and what is refused before they are built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from base_recipe import least
from gantk.data.layout import Layout
from gantk.errors import PluginError, RecipeError
from gantk.plugins import Component, Registry
from gantk.translation.networks import build_translators, seed
from gantk.translation.residual import Residual
from gantk.translation.translator import Translator


class Small(nn.Module):
    """A generator whose images have sides that are multiples of 4."""

    size_multiple = 4

    def __init__(self, in_channels: int, out_channels: int, width: int = 2) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.layers = nn.Sequential(nn.Conv2d(in_channels, width, 1), nn.Conv2d(width, out_channels, 1))

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.layers(image))


class Noisy(Small):
    """A generator that makes its images of noise."""

    def sample(self, image: Tensor) -> Tensor:
        return self(image)


class Told(Small):
    """A generator that wants the age."""

    def forward(self, image: Tensor, *, age: Tensor) -> Tensor:
        return super().forward(image)


class Judge(nn.Module):
    """A discriminator."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image)


def built(translators: dict[str, Any], **data: Any) -> dict[str, Translator]:
    registry = Registry()
    for name, cls in (("small", Small), ("noisy", Noisy), ("told", Told)):
        registry.add(Component(name, "generator", cls, "mine", "1"))
    registry.add(Component("judge", "discriminator", Judge, "mine", "1"))
    losses = {"l": {"use": "l1", "on": next(iter(translators))}}
    data = {"inputs": ["t1", "t2"], "crop": [16, 24], **data}
    recipe = least(data=data, translators=translators, losses=losses)
    return build_translators(recipe, registry, Layout.of(recipe.data))


def one(use: str = "small", **more: Any) -> dict[str, Any]:
    return {"generator": {"use": use}, **more}


def weights(network: nn.Module | None) -> Tensor:
    assert network is not None
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_channels_are_those_of_the_images() -> None:
    judge = {"discriminator": {"use": "judge"}}
    made = built({"a": one(**judge), "b": one(**judge, judges="source and image"), "c": one(takes=["t2"])})
    assert [(t.generator.in_channels, t.generator.out_channels) for t in made.values()] == [(2, 1), (2, 1), (1, 1)]
    assert [made[role].discriminator.layer.in_channels for role in "ab"] == [1, 3]
    assert made["c"].discriminator is None
    behind = built({"a": one(), "b": one(takes=["t1", "a.output"])})
    assert behind["b"].generator.in_channels == 2
    assert behind["b"].after == {"a": 1}


def test_a_networks_weights_depend_on_the_seed_and_its_own_place_alone() -> None:
    judge = {"discriminator": {"use": "judge"}}
    made, again = built({"a": one(**judge), "b": one()}), built({"b": one()})
    assert torch.equal(weights(made["b"].generator), weights(again["b"].generator))
    assert not torch.equal(weights(made["a"].generator), weights(made["b"].generator))
    recipe = least(run={"seed": 3})
    assert len({seed(recipe, "a"), seed(recipe, "b"), seed(recipe, "a", "generator"), seed(recipe)}) == 4


def test_an_average_does_not_learn() -> None:
    made = built({"a": one(), "mean": one(average_of="a", decay=0.9)})
    assert all(p.requires_grad for p in made["a"].generator.parameters())
    assert not any(p.requires_grad for p in made["mean"].generator.parameters())


def test_a_residual_translator_begins_with_its_input() -> None:
    (made,) = built({"a": one(residual="t2")}).values()
    assert isinstance(made.generator, Residual)
    image = torch.rand(1, 2, 16, 24) * 2 - 1
    assert torch.allclose(made.generator(image), image[:, 1:], atol=1e-6)


@pytest.mark.parametrize(
    ("translators", "data", "said"),
    [
        ({"a": one()}, {"crop": [16, 26]}, r"the crop \[16, 26\] does not fit the generator 'small'.*multiples of 4"),
        ({"a": one("smal")}, {}, r"translators\.a\.generator\.use.*'small'"),
        ({"a": one(residual="flair")}, {}, r"residual: the translator does not take 'flair'; known: t1, t2"),
        ({"a": one("noisy", residual="t1")}, {}, "of noise, so it cannot change an input"),
        ({"a": one("noisy"), "b": one(takes=["a.output"])}, {}, "'a' makes its images of noise, in several steps"),
        ({"a": one(shown={"use": "ada"})}, {}, "'a' has no discriminator that could be shown anything"),
        (
            {"a": one(given=["age"])},
            {"extra": {"age": {"per": "image"}}},
            r"translators\.a\.given: no network of 'a' takes 'age'.*'small' of the plugin mine 1 has no keyword",
        ),
        ({"a": one("told")}, {}, r"'told' of the plugin mine 1 wants 'age' beside images.*\[data\.extra\.age\]"),
    ],
)
def test_what_cannot_be_built(translators: dict[str, Any], data: dict[str, Any], said: str) -> None:
    with pytest.raises((RecipeError, PluginError), match=said):
        built(translators, **data)
