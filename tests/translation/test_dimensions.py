"""Slices and volumes: how components learn of the number of dimensions, and what is refused."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

import gantk
from gantk import RecipeError
from gantk.plugins import Component, Registry, load_plugins
from gantk.recipe import recipe_from_table
from gantk.testing import make_group
from gantk.translation import Moment, assemble
from gantk.translation.step import Step, resize_weight
from gantk.translation.view import View

PATCH = (6, 12, 8)


class Plain(nn.Module):
    """A generator of slices and volumes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        image_size: tuple[int, ...] = (0,),
        dimensions: gantk.Dimensions = 2,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.told = (dimensions, image_size)
        self.network = (nn.Conv3d if dimensions == 3 else nn.Conv2d)(in_channels, out_channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.network(image))


class Flat(nn.Module):
    """A generator that declares no dimensions."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.network = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.network(image))


class OfSlices:
    """A loss that declares to work on slices."""

    def __init__(self, dimensions: Literal[2] = 2) -> None:
        self.dimensions = dimensions

    def __call__(self, view: gantk.View) -> Tensor:
        return view.output.mean()


class Difference:
    """A third-party loss for slices."""

    needs = gantk.Needs(target=True)

    def __call__(self, view: gantk.View) -> Tensor:
        return view.weighted_mean((view.target - view.output).abs())


class Bright:
    """A weight map of the kind."""

    def __call__(self, view: gantk.View) -> Tensor:
        return (1 + view.source.mean(dim=1, keepdim=True)) * view.foreground


@pytest.fixture(scope="module")
def registry() -> Registry:
    session = load_plugins()
    made = Registry()
    made.add(*session.registry)
    for kind, name, cls in (
        ("generator", "plain", Plain),
        ("generator", "flat", Flat),
        ("loss", "of_slices", OfSlices),
        ("loss", "difference", Difference),
        ("weight_map", "bright", Bright),
    ):
        made.add(Component(name, kind, cls, "tests", "1"))
    return made


def table(**data: Any) -> dict[str, Any]:
    return {
        "name": "volumes",
        "data": {"dataset": "phantom", "inputs": ["t1", "t2"], "target": "t1ce", **data},
        "translators": {"g": {"generator": {"use": "plain"}}},
        "maps": {"m": {"use": "bright"}},
        "losses": {"l": {"use": "difference", "on": "g", "map": "m"}},
        "schedule": {"use": "constant", "epochs": 1},
        "evaluation": {"baselines": []},
    }


VOLUMES = {"dimensions": 3, "patch": list(PATCH)}


def test_a_component_that_declares_dimensions_is_told(registry: Registry) -> None:
    built = assemble(recipe_from_table(table(**VOLUMES)), registry)
    assert built.translators["g"].generator.told == (3, PATCH)
    built = assemble(recipe_from_table(table(crop=[16, 24])), registry)
    assert built.translators["g"].generator.told == (2, (16, 24))


@pytest.mark.parametrize("residual", [False, True])
def test_losses_and_maps_of_slices_work_on_volumes(registry: Registry, residual: bool) -> None:
    said = table(**VOLUMES)
    if residual:
        said["translators"]["g"]["residual"] = "t1"
    built = assemble(recipe_from_table(said), registry)
    plan = built.plan("training", ("g",))
    group = make_group(2, 2, 1, PATCH)
    step = Step(built.translators, plan, {"paired": group}, moment=Moment("training", 0, 1, 0))
    (term,) = plan.terms
    view = View(step, "g", "paired", term)
    loss = term.loss(view)
    assert view.output.shape == (2, 1, *PATCH)
    weight = (1 + group.source.mean(1, keepdim=True)) * (group.source > -1).any(1, keepdim=True)
    assert view.weight.shape == (2, 1, *PATCH)
    assert torch.equal(loss, (weight * (group.target - view.output).abs()).mean())
    if residual:
        assert torch.equal(view.output, group.source[:, :1])
        assert torch.equal(view.start, group.source[:, :1])


def test_an_image_given_as_source_is_repeated_in_three_dimensions(registry: Registry) -> None:
    built = assemble(recipe_from_table(table(**VOLUMES)), registry)
    group = make_group(1, 2, 1, PATCH)
    step = Step(built.translators, built.plan("training", ("g",)), {"paired": group})
    repeated = View(step, "g", "paired").as_source(group.target)
    assert torch.equal(repeated, torch.cat([group.target, group.target], dim=1))


def test_a_weight_map_of_a_volume_is_averaged_to_its_features() -> None:
    weight = torch.rand(2, 1, 4, 6, 8)
    resized = resize_weight(weight, torch.zeros(6, 5, 2, 3, 2))
    wanted = weight.reshape(2, 1, 2, 2, 3, 2, 2, 4).mean(dim=(3, 5, 7))
    assert torch.allclose(resized, torch.cat([wanted] * 3), atol=1e-6)


def test_a_generator_of_slices_is_refused_in_words(registry: Registry) -> None:
    said = table(**VOLUMES)
    said["translators"]["g"]["generator"] = {"use": "flat"}
    with pytest.raises(RecipeError) as raised:
        assemble(recipe_from_table(said), registry)
    assert "'flat' of the plugin tests 1 works on slices, but the recipe trains on volumes" in str(raised.value)
    assert raised.value.where == "translators.g.generator.use"
    assert "plain" in str(raised.value.mend)
    assert "flat" not in str(raised.value.mend)


def test_a_loss_that_says_it_is_of_slices_is_refused(registry: Registry) -> None:
    said = table(**VOLUMES)
    said["losses"]["l"] = {"use": "of_slices", "on": "g"}
    with pytest.raises(RecipeError, match="'of_slices' of the plugin tests 1 works on slices"):
        assemble(recipe_from_table(said), registry)
    said["data"] = table(crop=[16, 16])["data"]
    assemble(recipe_from_table(said), registry)


def test_dimensions_are_no_parameter_of_recipes(registry: Registry) -> None:
    said = table(**VOLUMES)
    said["translators"]["g"]["generator"]["dimensions"] = 3
    with pytest.raises(RecipeError, match="no parameter 'dimensions'"):
        assemble(recipe_from_table(said), registry)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"dimensions": 3}, "dimensions = 3 requires patch"),
        ({"patch": [8, 8, 8]}, "patch applies only to volumes"),
        ({**VOLUMES, "neighbours": 1}, "neighbours applies only to slices"),
        ({"dimensions": 4, "patch": [8, 8, 8]}, "dimensions"),
    ],
)
def test_what_a_recipe_cannot_say(data: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe_from_table(table(**data))
