"""Inputs of networks beside images: once per set, from the image's own group, and from terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import Needs, RecipeError, TrainingError, View
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.training.rehearsal import rehearse
from gantk.training.scheduler import Stage
from gantk.translation import Assembly, Step, assemble

EXTRA = {"labels": {"per": "pixel", "categories": [0, 7, 9]}, "site": {"categories": ["a", "b"]}}
GIVEN = ["labels", "site"]


class Told(nn.Module):
    """A generator that records its inputs."""

    def __init__(self, in_channels: int, out_channels: int, given: Mapping[str, int]) -> None:
        super().__init__()
        self.widths = dict(given)
        self.last = nn.Conv2d(in_channels + given["labels"], out_channels, 1)
        self.seen: list[dict[str, Tensor]] = []

    def forward(self, image: Tensor, *, labels: Tensor, site: Tensor, t: Tensor | None = None) -> Tensor:
        self.seen.append({"labels": labels, "site": site} | ({} if t is None else {"t": t}))
        shift = 0.0 if t is None else t
        moved = self.last(torch.cat([image, labels], dim=1)) * (1 + site[:, :1, None, None])
        return torch.tanh(moved + shift)


class Judge(nn.Module):
    """A discriminator that takes only the site."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.last = nn.Conv2d(in_channels, 1, 1)

    def forward(self, image: Tensor, site: Tensor) -> Tensor:
        return self.last(image) + site[:, :1, None, None]


class Plain:
    needs = Needs(target=True)

    def __call__(self, view: View) -> Tensor:
        return (view.output - view.target).abs().mean()


NETWORK = {"generator": {"use": "told"}, "given": GIVEN}


def made(registry: Registry, **changes: Any) -> tuple[Any, Assembly]:
    mine = Registry()
    mine.add(*registry, Component("told", "generator", Told, "mine", "1"))
    mine.add(Component("judge", "discriminator", Judge, "mine", "1"), Component("plain", "loss", Plain, "mine", "1"))
    table: dict[str, Any] = {
        "name": "given",
        "data": {
            "dataset": "phantom", "inputs": ["t1"], "target": "t1ce", "crop": [8, 12], "extra": EXTRA,
            "batch": {"source": 2, "target": 2, "paired": 2},
        },
        "translators": {"one": NETWORK | {"discriminator": {"use": "judge"}} | changes},
        "losses": {"l1": {"use": "plain", "on": "one"}},
        "schedule": {"use": "constant"},
    }  # fmt: skip
    recipe = recipe_from_table(table)
    return recipe, assemble(recipe, mine)


def begin(assembly: Assembly, make_group: Any) -> Step:
    batch = {}
    for number, name in enumerate(("paired", "other")):
        batch[name] = make_group(2, inputs=1, shape=(8, 12), seed=number)
        labels = torch.full((2, 1, 8, 12), number + 1, dtype=torch.uint8)
        batch[name].extra |= {"labels": labels, "site": torch.tensor([number, number])}
    return Step(assembly.translators, assembly.plan("training", ("one",)), batch)


def test_networks_are_built_for_it_and_given_it_once(registry: Registry, make_group: Any) -> None:
    recipe, assembly = made(registry)
    rehearse(recipe, assembly, [Stage("training", 1, ("one",))])
    generator = assembly.translators["one"].generator
    assert generator.widths == {"labels": 3, "site": 2}
    generator.seen.clear()
    view = View(begin(assembly, make_group), "one", "paired")
    assert view.translate() is view.output
    (given,) = generator.seen
    assert torch.equal(given["labels"].argmax(1, keepdim=True), view.group.extra["labels"].long())
    assert given["site"].tolist() == [[1, 0], [1, 0]]
    assert view.given["labels"] is given["labels"]
    assert torch.equal(view.judge(), view.judge(given={"site": torch.tensor([[1.0, 0], [1, 0]])}))
    assert not torch.equal(view.judge(), view.judge(given={"site": torch.tensor([[0, 1.0], [0, 1]])}))


def test_an_image_goes_with_what_is_said_of_its_own_group(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry)
    view = View(begin(assembly, make_group), "one", "paired")
    seen = assembly.translators["one"].generator.seen
    seen.clear()
    other = view.image("other.target")
    view.translate(view.translate(other))  # and its output
    view.translate(other * 1)  # the term's own tensor, which no group has
    assert [given["site"][0].tolist() for given in seen] == [[0, 1], [0, 1], [1, 0]]


def test_what_a_term_gives_is_another_pass(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry)
    view = View(begin(assembly, make_group), "one", "paired")
    seen = assembly.translators["one"].generator.seen
    seen.clear()
    t, later = torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1)
    site = torch.tensor([[0.0, 1], [0, 1]])
    first = view.translate(given={"t": t})
    assert view.translate(given={"t": t}) is first
    assert view.translate(given={"t": t}, grad=False).requires_grad is False
    second = view.translate(given={"t": later, "site": site})
    assert len(seen) == 2
    assert not torch.equal(first, second)
    assert seen[1]["site"] is site
    assert torch.equal(seen[1]["labels"], view.given["labels"])
    with pytest.raises(TrainingError, match="of 'one' receives 'when' but does not accept it"):
        view.translate(given={"when": t})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"given": ["labels"]}, "'told' of the plugin mine 1 wants 'site' beside images"),
        ({"generator": {"use": "unet", "channels": 2, "levels": 2}}, "no network of 'one' takes 'labels'"),
        ({"given": ["labels", "sites"]}, r"there is no extra 'sites'"),
    ],
)
def test_what_does_not_fit_is_refused(registry: Registry, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        made(registry, **changes)


def test_a_pool_does_not_keep_what_the_discriminator_is_given(registry: Registry) -> None:
    recipe, _ = made(registry)
    table = recipe.model_dump(exclude_none=True)
    table["losses"] = {"l1": {"use": "lsgan", "on": "one", "pool": 4}}
    mine = Registry()
    mine.add(*registry, Component("told", "generator", Told, "mine", "1"))
    mine.add(Component("judge", "discriminator", Judge, "mine", "1"))
    with pytest.raises(RecipeError, match="takes more than the image"):
        assemble(recipe_from_table(table), mine)


def test_a_residual_translator_is_given_it_too(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry, residual="t1")
    view = View(begin(assembly, make_group), "one", "paired")
    assert torch.equal(view.output, view.source), "it starts at the identity"


def test_a_mirrored_view_has_mirrored_inputs_beside_the_image(registry: Registry, make_group: Any) -> None:
    _, assembly = made(registry)
    here = begin(assembly, make_group)
    here.batch["paired"].extra["labels"][..., :4] = 0
    view = View(here, "one", "paired")
    seen = assembly.translators["one"].generator.seen
    seen.clear()
    view.mirrored().translate()
    (given,) = seen
    assert torch.equal(given["labels"], view.given["labels"].flip(-1))
    assert torch.equal(given["site"], view.given["site"])
