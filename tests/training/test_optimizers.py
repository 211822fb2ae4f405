"""Optimizers of a role: the weights, rates and stages, from recipes and plugins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim import SGD

from gantk import PluginError, RecipeError
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.training.engine import check_stages
from gantk.training.optimizers import Optimizers
from gantk.training.scheduler import Stage
from gantk.translation import Assembly, assemble


class Mine(SGD):
    """Plain descent with a parameter."""

    def __init__(self, params: Any, lr: float, slowness: float = 1.0) -> None:
        super().__init__(params, lr=lr)
        self.slowness = slowness


class NoOptimizer:
    """Not an optimizer."""

    def __init__(self, params: Any) -> None:
        pass


def made(registry: Registry, optimizer: dict[str, Any], **more: Any) -> tuple[Any, Assembly]:
    mine = Registry()
    mine.add(*registry, Component("mine", "optimizer", Mine, "mine", "1"))
    mine.add(Component("none", "optimizer", NoOptimizer, "mine", "1"))
    table = {
        "name": "rates",
        "data": {"dataset": "phantom", "inputs": ["t1"], "target": "t1ce", "crop": [16, 16]},
        "translators": {
            "g": {
                "generator": {"use": "unet", "channels": 2, "levels": 2},
                "discriminator": {"use": "patchgan", "channels": 2, "layers": 1},
                "optimizer": optimizer,
                **more,
            }
        },
        "losses": {"l1": {"use": "l1", "on": "g"}, "d": {"use": "lsgan", "on": "g"}},
        "schedule": {"use": "constant"},
    }
    recipe = recipe_from_table(table)
    return recipe, assemble(recipe, mine)


def optimizers(assembly: Assembly, stage: str = "training") -> Optimizers:
    return Optimizers(assembly.translators["g"], assembly.optimizers["g"], stage)


def rate_of(found: Optimizers, parameter: torch.nn.Parameter) -> float | None:
    """The rate of a parameter; None if no optimizer has it."""
    for optimizer in found.sides.values():
        for group in optimizer.param_groups:
            if any(p is parameter for p in group["params"]):
                return group["lr"]
    return None


GROUPS = [
    {"match": "down.0.*", "rate": 0},
    {"match": "down.*", "rate": 1e-5},
    {"match": "*.bias", "part": "discriminator", "rate": 1e-6, "stages": ["second"]},
]


@pytest.mark.parametrize("residual", [{}, {"residual": "t1"}])
def test_the_first_group_that_matches_says_the_rate_and_0_freezes(registry: Registry, residual: dict[str, Any]) -> None:
    _, assembly = made(registry, {"rates": {"generator": 1e-3}, "groups": GROUPS}, **residual)
    found, translator = optimizers(assembly), assembly.translators["g"]
    names = {name.removeprefix("network."): p for name, p in translator.generator.named_parameters()}
    rates = {name: rate_of(found, parameter) for name, parameter in names.items()}
    assert {name: rate for name, rate in rates.items() if name.startswith("down.0")} != {}
    for name, rate in rates.items():
        wanted = None if name.startswith("down.0.") else 1e-5 if name.startswith("down.") else 1e-3
        assert rate == wanted, name
    assert found.rates == {"generator": 1e-3, "discriminator": 2e-4}
    found.set_rates({"generator": 0.5, "discriminator": 1.0})
    assert rate_of(found, names["down.1.1.weight"]) == pytest.approx(5e-6)
    found.set_rates({"generator": 1.0, "discriminator": 1.0})
    assert rate_of(found, names["down.1.1.weight"]) == pytest.approx(1e-5)


def test_a_rate_of_some_stages(registry: Registry) -> None:
    recipe, assembly = made(registry, {"groups": GROUPS})
    names = dict(assembly.translators["g"].discriminator.named_parameters())
    bias = next(p for name, p in names.items() if name.endswith("bias"))
    assert rate_of(optimizers(assembly, "first"), bias) == 2e-4
    assert rate_of(optimizers(assembly, "second"), bias) == 1e-6
    stages = [Stage("first", 1, ("g",)), Stage("second", 1, ("g",))]
    assert check_stages(recipe, stages) == stages
    with pytest.raises(RecipeError, match=r"optimizer\.groups\.2\.stages.*no stage 'second'.*first"):
        check_stages(recipe, stages[:1])


def test_all_frozen_is_no_optimizer(registry: Registry) -> None:
    _, assembly = made(registry, {"groups": [{"match": "*", "rate": 0}]})
    assert set(optimizers(assembly).sides) == {"discriminator"}


def test_a_group_of_nothing_is_a_mistake(registry: Registry) -> None:
    _, assembly = made(registry, {"groups": [{"match": "encoder.*", "rate": 0}]})
    with pytest.raises(RecipeError, match=r"optimizer\.groups\.0\.match.*no weight of the generator matches"):
        optimizers(assembly)


def test_an_optimizer_of_a_plugin(registry: Registry) -> None:
    _, assembly = made(registry, {"use": "mine", "slowness": 2.5, "rates": {"discriminator": 3e-4}})
    for side, rate in {"generator": 2e-4, "discriminator": 3e-4}.items():
        optimizer = optimizers(assembly).sides[side]
        assert isinstance(optimizer, Mine)
        assert optimizer.slowness == 2.5
        assert optimizer.param_groups[0]["lr"] == rate


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ({"use": "adagrad"}, r"optimizer\.use.*no plugin supplies the optimizer 'adagrad'"),
        ({"use": "sgd", "betas": [0.5, 0.9]}, "'sgd' has no parameter 'betas'"),
        ({"use": "adamw", "weigth_decay": 1}, "has no parameter 'weigth_decay'.*weight_decay"),
        ({"betas": [0.5, 1.0]}, r"optimizer\.betas"),
        ({"weight_decay": -1}, r"optimizer\.weight_decay"),
        ({"use": "timm"}, "needs the parameter 'name'"),
        ({"use": "mine", "lr": 1}, "has no parameter 'lr'"),
        (
            {"groups": [{"match": "*", "rate": -1}]},
            r"optimizer\.groups.*'rate' of number 1: Input should be greater than or equal to 0",
        ),
        ({"groups": [{"match": "*"}]}, r"optimizer\.groups.*'rate' of number 1: Field required"),
    ],
)
def test_what_a_recipe_says_wrong(registry: Registry, optimizer: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        made(registry, optimizer)


def test_errors_of_what_is_made_late(registry: Registry) -> None:
    with pytest.raises(RecipeError, match=r"optimizer\.name.*timm has no optimizer 'lyon'.*'lion'"):
        optimizers(made(registry, {"use": "timm", "name": "lyon"})[1])
    with pytest.raises(PluginError, match="'none' of the plugin mine 1 is a NoOptimizer"):
        optimizers(made(registry, {"use": "none"})[1])
