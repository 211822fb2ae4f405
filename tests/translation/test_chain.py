"""Roles in a chain: one takes what another makes of the same slices, in training and at test."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import Needs, RecipeError, Translation
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.recipe.load import located
from gantk.training.optimizers import Optimizers
from gantk.training.rehearsal import rehearse
from gantk.training.scheduler import Stage
from gantk.training.update import Updater
from gantk.translation import Assembly, Chain, Step, View, assemble


class Affine(nn.Module):
    """A linear network that counts its passes and makes its own square besides."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.last = nn.Conv2d(in_channels, out_channels, 1)
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> Translation:
        self.seen.append(image)
        made = torch.tanh(self.last(image))
        return Translation(made, {}, {"square": made.square()})


class Mean:
    needs = Needs(target=True)

    def __call__(self, view: View) -> Tensor:
        return (view.output - view.target).abs().mean() + view.extra("square").mean()


class Sampled(Affine):
    def sample(self, image: Tensor) -> Tensor:
        return self(image).output


def table(**translators: Any) -> dict[str, Any]:
    data = {"dataset": "phantom", "inputs": ["t1", "t2"], "target": "t1ce", "crop": [8, 12], "batch": {"paired": 2}}
    return {
        "name": "chain",
        "data": data,
        "translators": translators,
        "losses": {role: {"use": "mean", "on": role} for role in translators},
        "schedule": {"use": "constant"},
    }


def made(registry: Registry, **translators: Any) -> tuple[Any, Assembly]:
    mine = Registry()
    mine.add(*registry, Component("mean", "loss", Mean, "mine", "1"))
    mine.add(*(Component(c.__name__.lower(), "generator", c, "mine", "1") for c in (Affine, Sampled)))
    recipe = recipe_from_table(table(**translators))
    return recipe, assemble(recipe, mine)


NETWORK = {"use": "affine"}
COARSE, FINE = (
    {"takes": ["t2"], "generator": NETWORK},
    {"takes": ["t1", "coarse.output"], "generator": NETWORK},
)


@pytest.fixture
def two(registry: Registry) -> tuple[Any, Assembly]:
    return made(registry, coarse=COARSE, fine=FINE)


def begin(assembly: Assembly, make_group: Any, *roles: str, inference: bool = False) -> Step:
    group = make_group(2, inputs=2, shape=(8, 12))
    return Step(assembly.translators, assembly.plan("training", roles), {"paired": group}, nullcontext, inference)


def test_the_output_is_taken_with_the_images_and_made_once(two: Any, make_group: Any) -> None:
    recipe, assembly = two
    coarse, fine = (assembly.translators[role].generator for role in ("coarse", "fine"))
    rehearse(recipe, assembly, [Stage("training", 1, ("coarse", "fine"))])
    step = begin(assembly, make_group, "coarse", "fine")
    view = View(step, "fine", "paired")
    made = view.output
    t1, t2 = step.batch["paired"].source.split(1, dim=1)
    first = coarse(t2).output
    assert torch.equal(view.source, torch.cat([t1, first], dim=1))
    assert torch.equal(made, fine(torch.cat([t1, first], dim=1)).output)
    assert view.translate(role="coarse") is step.translate("coarse", step.source("coarse", "paired"))
    assert torch.equal(view.extra("square"), made.square())
    assert (len(coarse.seen), len(fine.seen)) == (2, 2)  # of each pass one is the test's own


@pytest.mark.parametrize(("roles", "learns"), [(("coarse", "fine"), True), (("fine",), False)])
def test_the_stage_says_whether_a_term_reaches_through(two: Any, make_group: Any, roles: Any, learns: bool) -> None:
    _, assembly = two
    view = View(begin(assembly, make_group, *roles), "fine", "paired")
    view.output.mean().backward()
    assert (assembly.translators["coarse"].generator.last.weight.grad is not None) == learns
    assert assembly.translators["fine"].generator.last.weight.grad is not None


def test_an_update_of_the_second_alone_leaves_the_first(two: Any, make_group: Any) -> None:
    recipe, assembly = two
    before = {name: tensor.clone() for name, tensor in assembly.translators["coarse"].state_dict().items()}
    optimizers = {role: Optimizers(assembly.translators[role], assembly.optimizers[role]) for role in ("fine",)}
    updater = Updater(
        assembly.translators, optimizers, assembly.plan("training", ("fine",)), recipe.training, nullcontext
    )
    losses = updater.step([{"paired": make_group(2, inputs=2, shape=(8, 12))}], {"fine": 1.0})
    assert losses.keys() == {"fine/fine"}
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in assembly.translators["coarse"].state_dict().items()
    )


def test_at_rest_a_chain_is_one_network_of_all_its_images(two: Any, make_group: Any) -> None:
    _, assembly = two
    chain = Chain(assembly.translators, "fine")
    group = make_group(2, inputs=2, shape=(8, 12))
    step = begin(assembly, make_group, "coarse", "fine", inference=True)
    assert (list(chain.networks), chain.takes.size) == (["coarse", "fine"], 2)
    assert assembly.translators["fine"].shown == chain.takes
    image = group.image(chain.takes)
    assert torch.equal(chain(image).output, step.translate("fine", step.source("fine", "paired")))
    assert list(Chain(assembly.translators, "coarse").networks) == ["coarse"]


def test_a_third_takes_both_and_outputs_alone_do(registry: Registry, make_group: Any) -> None:
    third = {"takes": ["coarse.output", "fine.output"], "generator": NETWORK, "residual": "fine.output"}
    _, assembly = made(registry, coarse=COARSE, fine=FINE, third=third)
    step = begin(assembly, make_group, "coarse", "fine", "third")
    outputs = [step.translate(role, step.source(role, "paired")) for role in ("coarse", "fine")]
    assert torch.equal(step.source("third", "paired"), torch.cat(outputs, dim=1))
    assert torch.equal(step.translate("third", step.source("third", "paired")), outputs[1])  # it starts as that
    assert list(Chain(assembly.translators, "third").networks) == ["coarse", "fine", "third"]


def test_a_conditional_discriminator_sees_the_output_and_sends_no_gradient_into_it(
    registry: Registry, make_group: Any
) -> None:
    judged = FINE | {"judges": "source and image", "discriminator": {"use": "patchgan", "channels": 4, "layers": 1}}
    _, assembly = made(registry, coarse=COARSE, fine=judged)
    view = View(begin(assembly, make_group, "coarse", "fine"), "fine", "paired")
    view.judge(view.target).mean().backward()
    assert assembly.translators["coarse"].generator.last.weight.grad is None
    assert next(assembly.translators["fine"].discriminator.parameters()).shape[1] == 3


@pytest.mark.parametrize(
    ("translators", "said"),
    [
        ({"coarse": COARSE | {"takes": ["t2", "fine.output"]}, "fine": FINE}, "circle: coarse -> fine -> coarse"),
        ({"coarse": COARSE | {"takes": ["coarse.output"]}}, "circle: coarse -> coarse"),
        (
            {"coarse": COARSE, "fine": FINE | {"takes": ["coase.output"]}},
            "no translator 'coase'; did you mean 'coarse'",
        ),
        ({"coarse": COARSE, "fine": FINE | {"takes": ["t1ce", "coarse.output"]}}, "partly inputs and partly targets"),
        ({"coarse": COARSE, "fine": FINE | {"residual": "t2"}}, "does not take 't2'; known: coarse.output, t1"),
        ({"coarse": COARSE | {"generator": {"use": "sampled"}}, "fine": FINE}, "'coarse' makes its images of noise"),
    ],
)
def test_what_no_chain_can_be_is_refused(registry: Registry, translators: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as found:
        made(registry, **translators)
    assert str(located(found.value, recipe_from_table(table(coarse=COARSE))).where).startswith("translators.")
