"""Balances: one loss of several terms, learnt or measured, beside terms that it leaves alone."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import PluginError, RecipeError, View
from gantk.errors import NonFiniteError
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Assembly, Moment, assemble


class Sum(nn.Module):
    """The sum times ten; records its arguments."""

    def __init__(self, terms: tuple[str, ...]) -> None:
        super().__init__()
        self.terms = terms
        self.seen: list[dict[str, float]] = []

    def forward(self, losses: dict[str, Tensor], view: View) -> Tensor:
        self.seen.append({name: loss.item() for name, loss in losses.items()})
        return 10 * torch.stack(list(losses.values())).sum()


class Endless(Sum):
    def forward(self, losses: dict[str, Tensor], view: View) -> Tensor:
        return super().forward(losses, view) * float("inf")


class Broken(Sum):
    def forward(self, losses: dict[str, Tensor], view: View) -> Any:
        return None


class NoModule:
    """Not a module."""

    def __init__(self, terms: tuple[str, ...]) -> None:
        self.terms = terms


def made(registry: Registry, balance: dict[str, Any] | None, **losses: Any) -> tuple[Any, Assembly]:
    mine = Registry()
    mine.add(*registry, Component("sum", "balance", Sum, "mine", "1"))
    mine.add(Component("endless", "balance", Endless, "mine", "1"))
    mine.add(Component("broken", "balance", Broken, "mine", "1"), Component("no", "balance", NoModule, "mine", "1"))
    one = {"generator": {"use": "unet", "channels": 2, "levels": 2, "norm": "instance"}}
    one["optimizer"] = {"use": "sgd", "momentum": 0.0, "rates": {"generator": 0.1}}
    table = {
        "name": "balanced",
        "data": {"dataset": "phantom", "inputs": ["t1"], "target": "t1ce", "crop": [16, 24]},
        "translators": {"one": one, "other": {"like": "one"}},
        "losses": {
            "first": {"use": "l1", "on": "one", "weight": 2},
            "second": {"use": "l2", "on": "one", "weight": 3},
            "alone": {"use": "ssim", "on": "one"},
            "third": {"use": "l1", "on": "other"},
            **losses,
        },
        "schedule": {"use": "constant"},
    }
    if balance is not None:
        table["balance"] = {"terms": ["first", "second"], **balance}
    recipe = recipe_from_table(table)
    return recipe, assemble(recipe, mine)


def trained(recipe: Any, assembly: Assembly, group: Any, steps: int = 1) -> list[dict[str, float]]:
    roles = ("one", "other")
    optimizers = {role: Optimizers(t, assembly.optimizers[role]) for role, t in assembly.translators.items()}
    updater = Updater(assembly.translators, optimizers, assembly.plan("s", roles), recipe.training, nullcontext)
    return [updater.step([{"paired": group}], dict.fromkeys(roles, 1.0), Moment("s", 0, 1, i)) for i in range(steps)]


def gradient(recipe: Any, assembly: Assembly, group: Any) -> Tensor:
    before = torch.cat([p.detach().flatten().clone() for p in assembly.translators["one"].generator.parameters()])
    trained(recipe, assembly, group)
    after = torch.cat([p.detach().flatten() for p in assembly.translators["one"].generator.parameters()])
    return (before - after) / 0.1


@pytest.fixture
def group(make_group: Any) -> Any:
    return make_group(2, inputs=1, shape=(16, 24))


def test_it_is_given_weighted_terms_and_the_others_stay(registry: Registry, group: Any) -> None:
    recipe, assembly = made(registry, {"use": "sum"})
    (values,) = trained(recipe, assembly, group)
    (seen,) = assembly.translators["one"].heads["balance:sum"].seen
    assert seen == pytest.approx({"first": 2 * values["one/first"], "second": 3 * values["one/second"]})
    balanced = gradient(*made(registry, {"use": "sum"}), group)
    said = gradient(*made(registry, None, first={"use": "l1", "on": "one", "weight": 20},
                          second={"use": "l2", "on": "one", "weight": 30}), group)  # fmt: skip
    assert torch.allclose(balanced, said, rtol=1e-3, atol=1e-5)


def test_learnt_uncertainty(registry: Registry, group: Any) -> None:
    recipe, assembly = made(registry, {"use": "uncertainty"})
    learnt = assembly.translators["one"].heads["balance:uncertainty"].log_variances
    (values,) = trained(recipe, assembly, group)
    losses = torch.tensor([2 * values["one/first"], 3 * values["one/second"]])
    assert torch.allclose(learnt, -0.1 * (1 - losses), atol=1e-5), "the slope of exp(−s)·L + s at s = 0 is 1 − L"


def test_equal_gradients(registry: Registry, group: Any) -> None:
    recipe, assembly = made(registry, {"use": "gradient_ratio", "reference": "first"})
    plan = assembly.plan("s", ("one",))
    from gantk.translation import Step

    view = View(Step(assembly.translators, plan, {"paired": group}), "one", "paired", plan.terms[0])
    losses = {"first": view.output.mean(), "second": 50 * view.output.square().mean()}
    total = assembly.translators["one"].heads["balance:gradient_ratio"](losses, view)
    slopes = {name: torch.autograd.grad(loss, view.output, retain_graph=True)[0] for name, loss in losses.items()}
    (slope,) = torch.autograd.grad(total, view.output, retain_graph=True)
    ratio = slopes["first"].norm() / slopes["second"].norm()
    assert torch.allclose(slope, slopes["first"] + ratio * slopes["second"], rtol=1e-3, atol=1e-7)
    assert all(key.startswith("one/") or key.startswith("other/") for key in trained(recipe, assembly, group)[0])


@pytest.mark.parametrize(
    ("balance", "said"),
    [
        ({"use": "sum", "terms": ["first", "third"]}, r"balance\.terms.*one and other"),
        ({"use": "sum", "terms": ["first", "secnd"]}, r"balance\.terms.*no term 'secnd'.*'second'"),
        ({"use": "sum", "terms": ["first"]}, r"balance\.terms"),
        ({"use": "some"}, r"balance\.use.*no plugin supplies the balance 'some'"),
        ({"use": "gradient_ratio", "reference": "frist"}, r"balance\.reference.*'first'"),
        ({"use": "gradient_ratio"}, "needs the parameter 'reference'"),
    ],
)
def test_what_a_recipe_says_wrong(registry: Registry, balance: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        made(registry, balance)


def test_what_an_author_does_wrong(registry: Registry, group: Any) -> None:
    with pytest.raises(PluginError, match="derive it from torch"):
        made(registry, {"use": "no"})
    recipe, assembly = made(registry, {"use": "endless"})
    with pytest.raises(NonFiniteError, match=r"what the balance 'endless' .* makes of the terms became inf"):
        trained(recipe, assembly, group)
    with pytest.raises(
        PluginError, match="the balance 'broken' of the plugin mine 1 did not return a number with a gradient"
    ):
        trained(*made(registry, {"use": "broken"}), group)
