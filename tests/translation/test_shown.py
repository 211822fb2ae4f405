"""Augmentations of discriminators' images: only in training, in checkpoints; and several scales of scores."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import PluginError, RecipeError, View
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Assembly, Moment, Step, assemble


class Brighter(nn.Module):
    """Adds the number of observed images, and records the calls of `observe`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.told: list[tuple[Tensor, int]] = []

    def forward(self, image: Tensor) -> Tensor:
        return image + 0.5 + self.seen

    def observe(self, scores: Tensor, images: int) -> None:
        self.seen += images
        self.told.append((scores, images))


class NoModule:
    """Not a module."""


class OneScale:
    """Asks for one map of scores."""

    def __call__(self, view: View) -> Tensor:
        return view.judge().mean()


SCALES = {"use": "multiscale_patchgan", "scales": 3, "channels": 2, "layers": 1}


def made(registry: Registry, loss: str = "lsgan", **changes: Any) -> tuple[Any, Assembly]:
    mine = Registry()
    mine.add(*registry, Component("brighter", "augmentation", Brighter, "mine", "1"))
    mine.add(Component("no", "augmentation", NoModule, "mine", "1"), Component("one", "loss", OneScale, "mine", "1"))
    one = {
        "generator": {"use": "unet", "channels": 2, "levels": 2, "norm": "instance"},
        "discriminator": {"use": "patchgan", "channels": 2, "layers": 1},
        **changes,
    }
    table = {
        "name": "shown",
        "data": {"dataset": "phantom", "inputs": ["t1"], "target": "t1ce", "crop": [32, 48]},
        "translators": {"one": {k: v for k, v in one.items() if v is not None}},
        "losses": {"game": {"use": loss, "on": "one"}, "l1": {"use": "l1", "on": "one"}},
        "schedule": {"use": "constant"},
    }
    recipe = recipe_from_table(table)
    return recipe, assemble(recipe, mine)


def seen(assembly: Assembly, make_group: Any) -> View:
    group = make_group(3, inputs=1, shape=(32, 48))
    plan = assembly.plan("training", ("one",))
    return View(Step(assembly.translators, plan, {"paired": group}), "one", "paired", plan.terms[0])


@pytest.mark.parametrize("judges", ["image", "source and image"])
def test_it_is_shown_changed_images_in_training_alone(registry: Registry, make_group: Any, judges: str) -> None:
    _, assembly = made(registry, shown={"use": "brighter"}, judges=judges)
    translator = assembly.translators["one"]
    view = seen(assembly, make_group)
    whole = view.target if judges == "image" else torch.cat([view.source, view.target], dim=1)
    assert torch.equal(view.judge_image("target"), translator.discriminator(whole + 0.5))
    translator.eval()
    assert torch.equal(seen(assembly, make_group).judge_image("target"), translator.discriminator(whole))
    assert translator.state_dict()["augmentation.seen"] == 3


def test_it_is_told_the_scores_of_real_images_once_a_step(registry: Registry, make_group: Any) -> None:
    recipe, assembly = made(registry, shown={"use": "brighter"})
    translator = assembly.translators["one"]
    optimizers = {"one": Optimizers(translator, assembly.optimizers["one"])}
    updater = Updater(assembly.translators, optimizers, assembly.plan("s", ("one",)), recipe.training, nullcontext)
    group = make_group(3, inputs=1, shape=(32, 48))
    wanted = translator.discriminator(group.target + 0.5).detach().flatten()
    updater.step([{"paired": group}], {"one": 1.0}, Moment("s", 0, 1, 0))
    ((scores, images),) = translator.augmentation.told
    assert images == 3
    assert torch.equal(scores, wanted)
    assert not scores.requires_grad


@pytest.mark.parametrize("loss", ["lsgan", "vanilla", "hinge", "r1"])
def test_adversarial_losses_know_several_scales(registry: Registry, make_group: Any, loss: str) -> None:
    _, assembly = made(registry, loss, discriminator=SCALES)
    view = seen(assembly, make_group)
    scales = view.judge_scales("target")
    assert [tuple(scores.shape[-2:]) for scores in scales] == [(14, 22), (6, 10), (2, 4)]
    assert all(torch.equal(a, b) for a, b in zip(scales, view.judge_scales(view.target), strict=True))
    value = view.step.plan.terms[0].discriminator_loss(view)
    value.backward()
    for name, parameter in assembly.translators["one"].discriminator.named_parameters():
        reached = not name.endswith("bias")  # the effects of real and translated images may cancel
        assert not reached or (parameter.grad is not None and parameter.grad.any()), name


def test_a_loss_is_the_mean_over_scales(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry, discriminator=SCALES)
    view = seen(assembly, make_group)
    wanted = sum((scores - 1).square().mean() for scores in view.judge_scales()) / 3
    assert torch.allclose(view.step.plan.terms[0].generator_loss(view), wanted)


def test_what_does_not_fit_is_refused(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry, "one", discriminator=SCALES)
    with pytest.raises(PluginError, match=r"'multiscale_patchgan' of the plugin .* has 3.*judge_scales"):
        seen(assembly, make_group).judge()
    with pytest.raises(RecipeError, match=r"'one' has no discriminator that could be shown"):
        made(registry, "l2", discriminator=None, shown={"use": "ada"})
    with pytest.raises(PluginError, match="'no' of the plugin mine 1 is a NoModule"):
        made(registry, shown={"use": "no"})
    with pytest.raises(RecipeError, match=r"shown\.limit"):
        made(registry, shown={"use": "ada", "limit": 2})
