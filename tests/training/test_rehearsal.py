"""Checking a recipe finds the errors of a training step, and changes nothing."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import gantk
from gantk.api.checks import build
from gantk.data.batch import Group
from gantk.data.layout import Layout
from gantk.errors import GantkError, PluginError
from gantk.plugins import Registry
from gantk.recipe import load_recipe
from gantk.training.rehearsal import group_of, rehearse
from gantk.translation import Moment, Term, View
from gantk.translation.term import TransformSlot


@pytest.mark.parametrize(
    ("recipe", "change", "said"),
    [
        (
            "pix2pix",
            "losses.round={use='cycle', on='generator', back='generator'}",
            "losses.round: the translator 'generator' takes 3 channels and is given an image of 1",
        ),
        ("pix2pix", "losses.hidden={use='missing_l1', on='generator'}", "the inputs are not the targets"),
        (
            "pix2pix_distilled",
            "losses.late={use='missing_l1', on='student', group='paired', stages=['student']}",
            "translators.student: the inputs are not the targets",
        ),
    ],
)
def test_what_no_step_can_compute_is_refused_by_validate(recipes: Path, recipe: str, change: str, said: str) -> None:
    with pytest.raises(GantkError, match=said):
        gantk.validate(recipes / f"{recipe}.toml", [change])


def made(recipes: Path, registry: Registry, name: str) -> tuple[Any, Any, Any]:
    recipe = load_recipe(recipes / f"{name}.toml")
    assembly, scheduler = build(recipe, registry)
    return recipe, assembly, scheduler.stages(list(recipe.translators))


def test_a_rehearsal_changes_neither_networks_nor_pools_nor_random_numbers(recipes: Path, registry: Registry) -> None:
    recipe, assembly, stages = made(recipes, registry, "cyclegan")
    before = {role: dict(t.state_dict()) for role, t in assembly.translators.items()}
    copied = {role: {k: v.clone() for k, v in state.items()} for role, state in before.items()}
    random = torch.get_rng_state()
    rehearse(recipe, assembly, stages)
    assert torch.equal(torch.get_rng_state(), random)
    for role, translator in assembly.translators.items():
        assert any("pools" in name for name in copied[role])
        assert all(torch.equal(copied[role][name], tensor) for name, tensor in translator.state_dict().items())
        assert all(parameter.grad is None for parameter in translator.parameters())


def test_a_term_for_the_recipes_size_alone_is_accepted(recipes: Path, registry: Registry) -> None:
    recipe, assembly, stages = made(recipes, registry, "unet_l1")
    seen = []

    def loss(view: View) -> torch.Tensor:
        seen.append(tuple(view.output.shape[-2:]))
        if seen[-1] != recipe.data.crop:
            raise ValueError("another size")
        return view.output.mean()

    rehearse(recipe, replace(assembly, terms=[Term("own", "generator", "paired", loss)]), stages)
    assert seen[0] != seen[-1] == recipe.data.crop


class Counting:
    """A loss with a state."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, view: View) -> torch.Tensor:
        self.calls += 1
        return view.output.mean()


def test_a_components_state_stays_as_it_was(recipes: Path, registry: Registry) -> None:
    recipe, assembly, stages = made(recipes, registry, "unet_l1")
    loss, transform = Counting(), Turning()
    terms = [Term(name, "generator", "paired", loss) for name in ("one", "two")]
    rehearse(recipe, replace(assembly, terms=terms, transforms=[TransformSlot("own", transform)]), stages)
    assert loss.calls == transform.calls == 0


class Turning:
    """A transform with a state."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, group: Group, moment: Moment) -> Group:
        self.calls += 1
        return group


def test_a_component_that_cannot_be_copied_is_named(recipes: Path, registry: Registry) -> None:
    recipe, assembly, stages = made(recipes, registry, "unet_l1")
    loss = Counting()
    loss.lock = threading.Lock()  # type: ignore[attr-defined]
    term = Term("own", "generator", "paired", loss, origin="loss 'counting' of mine")
    with pytest.raises(PluginError, match=r"loss 'counting' of mine raised TypeError.*lock") as caught:
        rehearse(recipe, replace(assembly, terms=[term]), stages)
    assert caught.value.where == "losses.own"
    assert "deepcopy" in str(caught.value.mend)


def test_a_modality_is_the_same_image_wherever_it_stands() -> None:
    layout = Layout(("t1", "t2"), ("t2", "t1ce"), neighbours=1)
    group = group_of("paired:1/2", 2, layout, (16, 24), {})
    assert group.source is not None
    assert group.target is not None
    assert (group.source.shape, group.target.shape) == ((2, 6, 16, 24), (2, 2, 16, 24))
    assert torch.equal(group.source[:, layout.image("source", "t2")[0]], group.target[:, 0])
    assert group.own == layout.own
    assert group_of("target", 1, layout, (16, 24), {}).source is None
    assert group_of("unpaired", 1, layout, (16, 24), {}).target is None
