"""The images of a step: computed once, unchanged, and moved by one draw of a transform that terms ask for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gantk import PluginError, TrainingError, View
from gantk.data.layout import Domain
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.training.rehearsal import rehearse
from gantk.training.scheduler import Stage
from gantk.translation import Assembly, Moment, Step, assemble
from gantk.translation.images import Images


class Asking:
    """A loss on slices that a transform has changed."""

    def __init__(self, transform: str = "strong") -> None:
        self.transform = transform

    def __call__(self, view: View) -> Tensor:
        strong = view.augmented(self.transform)
        return (strong.output - strong.target).abs().mean()


def made(registry: Registry, **loss: Any) -> tuple[Any, Assembly]:
    mine = Registry()
    mine.add(*registry, Component("asking", "loss", Asking, "mine", "1"))
    table = {
        "name": "asked",
        "data": {
            "dataset": "phantom", "inputs": ["t1"], "target": "t1ce", "crop": [16, 24],
            "extra": {"labels": {"per": "pixel", "of": "segmentation", "categories": [0, 4]}},
        },
        "transforms": {"strong": {"use": "affine", "degrees": 40, "on_request": True}, "weak": {"use": "flip"}},
        "maps": {"edges": {"use": "edges"}},
        "translators": {"one": {"generator": {"use": "unet", "channels": 2, "levels": 2, "norm": "instance"}}},
        "losses": {"asking": {"use": "asking", "on": "one", "map": "edges", **loss}},
        "schedule": {"use": "constant"},
    }  # fmt: skip
    recipe = recipe_from_table(table)
    return recipe, assemble(recipe, mine)


def seen(assembly: Assembly, make_group: Any, seed: int = 0) -> View:
    group = make_group(3, inputs=1, shape=(16, 24))
    group.extra["labels"] = (group.segmentation > 0).to(torch.uint8)
    torch.manual_seed(seed)
    plan = assembly.plan("training", ("one",))
    return View(Step(assembly.translators, plan, {"paired": group}), "one", "paired", plan.terms[0])


def test_all_that_is_asked_of_it_is_of_one_draw(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry)
    view = seen(assembly, make_group)
    strong = view.augmented("strong")
    assert not torch.equal(strong.source, view.source)
    assert not torch.equal(strong.output, view.output)
    assert view.augmented("strong").source is strong.source, "it is drawn once"
    assert view.augmented("strong").output is strong.output
    assert torch.equal(strong.output, assembly.translators["one"].generator(strong.source))
    assert torch.equal(strong.group.extra["labels"] > 0, strong.segmentation > 0)
    assert strong.weight.shape == view.weight.shape
    assert not torch.equal(strong.weight, view.weight)
    assert torch.equal(strong.source, seen(assembly, make_group).augmented("strong").source)
    assert not torch.equal(strong.source, seen(assembly, make_group, seed=1).augmented("strong").source)


def test_an_output_moves_as_the_target_does(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry)
    view = seen(assembly, make_group)
    strong = view.augmented("strong")
    assert torch.equal(strong.moved(view.target), strong.target)
    assert strong.moved(view.target) is strong.moved(view.target)
    moved = strong.moved(view.output)
    assert moved.shape == view.output.shape
    moved.square().mean().backward()
    assert any(p.grad is not None and p.grad.any() for p in assembly.translators["one"].generator.parameters())


def test_it_changes_no_batch_unasked(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry)
    batch = {"paired": make_group(3, inputs=1, shape=(16, 24))}
    torch.manual_seed(0)
    changed = assembly.transformed(batch, Moment("training", 0, 1, 0))["paired"]
    flipped = batch["paired"].target.flip(-1)
    assert all(
        torch.equal(one, was) or torch.equal(one, other)
        for one, was, other in zip(changed.target, batch["paired"].target, flipped, strict=True)
    )


def test_an_unknown_one_is_refused_before_training(registry: Registry) -> None:
    for name in ("stronk", "weak"):
        recipe, assembly = made(registry, transform=name)
        said = rf"losses\.asking: there is no transform '{name}' on request.*the loss 'asking' of the plugin mine 1"
        with pytest.raises(TrainingError, match=said):
            rehearse(recipe, assembly, [Stage("training", 1, ("one",))])


def test_what_was_not_moved_cannot_move_an_image(registry: Registry, make_group: Any) -> None:
    view = seen(made(registry)[1], make_group)
    with pytest.raises(TrainingError, match="the slices of the group 'paired' were not augmented"):
        view.moved(view.output)
    with pytest.raises(TrainingError, match=r"there is no translator 'on'.*'one'"):
        view.translate(role="on")


def held(**batch: Any) -> Images:
    return Images(batch, {}, Moment("training", 0, 1, 0))


def test_what_is_computed_of_an_image_is_computed_once(make_group: Any) -> None:
    images = held(paired=make_group(2, inputs=3, shape=(8, 12)))
    source = images.image("paired", Domain("source", None, 3))
    assert source is images.batch["paired"].source
    some = images.image("paired", Domain("source", (2, 0), 2))
    assert torch.equal(some, source[:, [2, 0]])
    assert images.image("paired", Domain("source", (2, 0), 2)) is some
    assert images.image("paired", Domain("source", (0, 2), 2)) is not some
    made: list[Tensor] = []

    def halved(image: Tensor) -> Tensor:
        made.append(image)
        return image / 2

    assert images.derive("halved", source, halved) is images.derive("halved", source, halved)
    assert images.derive("halved", some, halved) is not images.derive("halved", source, halved)
    assert len(made) == 2
    learnt = source.clone().requires_grad_()
    assert images.detached(learnt) is images.detached(learnt)
    assert not images.detached(learnt).requires_grad


def test_a_component_that_changes_a_shared_image_is_named(make_group: Any) -> None:
    images = held(paired=make_group(2, shape=(8, 12)))
    source = images.batch["paired"].source
    own = torch.zeros(3)
    with images.unchanged("loss 'l' of the plugin p 1", "losses.l"):
        own += 1
        source.clone().clamp_(0, 1)
    derived = images.derive("halved", source, lambda image: image / 2)
    for shared in (source, derived, images.batch["paired"].segmentation):
        with (
            pytest.raises(PluginError, match=r"losses\.l: the loss 'l' of the plugin p 1 changed a tensor .* in place"),
            images.unchanged("loss 'l' of the plugin p 1", "losses.l"),
        ):
            shared.zero_()


def test_a_side_or_a_group_that_is_absent_is_said(make_group: Any) -> None:
    images = held(unpaired=make_group(2, shape=(8, 12), target=False))
    with pytest.raises(TrainingError, match=r"'unpaired' has no target.*gantk\.Needs\(target=True\)"):
        images.image("unpaired", Domain("target", None, 1))
    with pytest.raises(TrainingError, match="the batch has no group 'paired'; it has: unpaired"):
        images.group("paired")
