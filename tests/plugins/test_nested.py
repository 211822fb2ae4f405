"""Components within components: built with what the core supplies, checked to the last parameter, in the schema."""

from __future__ import annotations

import copy
import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from torch import Tensor, nn

import gantk
from gantk import GantkError, Needs, Role, View
from gantk.api.checks import build
from gantk.plugins.describe import describe
from gantk.plugins.schema import recipe_schema
from gantk.recipe import load_recipe
from gantk.testing import session

RECIPE = """
name = "nested"
[data]
dataset = "phantom"
inputs = ["t1", "t2"]
target = "t1ce"
crop = [16, 24]
slices = "all"
[translators.g]
generator = { use = "behind", first = { use = "unet", levels = 1, channels = 2 }, of = [{ use = "unet", levels = 2, channels = 2 }, { use = "ensemble", of = { use = "unet", levels = 1, channels = 2 } }] }
[losses.a]
use = "scaled"
on = "g"
of = { use = "scaled", by = 3, of = { use = "asks", role = "g" } }
[schedule]
use = "constant"
"""  # noqa: E501


class Behind(nn.Module):
    """One network behind some others.

    Args:
        in_channels: of the source.
        out_channels: of the output.
        first: makes what the others take.
        of: the others.
        last: not wanted.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        first: Callable[..., gantk.Generator],
        of: list[gantk.Generator],
        last: gantk.Generator | None = None,
    ) -> None:
        super().__init__()
        self.first, self.others, self.last = first(out_channels=in_channels), nn.ModuleList(of), last
        self.maker = first

    def forward(self, image: Tensor) -> Tensor:
        made = self.first(image)
        return torch.stack([gantk.Translation.of(other(made)).output for other in self.others]).mean(0)


class Scaled:
    """Another loss, times something."""

    def __init__(self, of: gantk.Loss, by: gantk.Positive = 2.0) -> None:
        self.of, self.by, self.needs = of, by, getattr(of, "needs", Needs())

    def __call__(self, view: View) -> Tensor:
        return self.by * self.of(view)


class Asks:
    needs = Needs(target=True)

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, view: View) -> Tensor:
        return (view.translate(role=self.role) - view.target).abs().mean()


@pytest.fixture(scope="module")
def registry() -> Any:
    return session(generator={"behind": Behind}, loss={"scaled": Scaled, "asks": Asks}).registry


def made(registry: Any, folder: Path, before: str = "", after: str = "") -> Any:
    assert before in RECIPE
    path = folder / "nested.toml"
    path.write_text(RECIPE.replace(before, after))
    return build(load_recipe(path), registry)[0]


def test_they_are_built_with_what_the_core_supplies(registry: Any, tmp_path: Path) -> None:
    assembly = made(registry, tmp_path)
    network = assembly.translators["g"].generator
    assert network.first(torch.zeros(1, 2, 16, 24)).shape == (1, 2, 16, 24)  # it said other channels
    plain, several = network.others
    assert (plain(torch.zeros(1, 2, 16, 24)).shape, len(several.members)) == ((1, 1, 16, 24), 3)
    assert not torch.equal(*(next(member.parameters()) for member in several.members[:2]))
    assert network.last is None
    (term,) = assembly.terms
    assert (term.loss.by, term.loss.of.by, type(term.loss.of.of)) == (2.0, 3, Asks)
    again = copy.deepcopy(network.maker)(out_channels=1)
    assert again(torch.zeros(1, 2, 16, 24)).shape[1] == 1
    assert pickle.loads(pickle.dumps(term.loss)).of.by == 3


def test_a_translator_of_several_networks_may_change_an_input(registry: Any, tmp_path: Path) -> None:
    network = (
        made(registry, tmp_path, "[translators.g]\n", '[translators.g]\nresidual = "t2"\n').translators["g"].generator
    )
    image = torch.rand(1, 2, 16, 24)
    torch.testing.assert_close(network(image), image[:, 1:])
    assert all(parameter.any() for parameter in network.network.first.parameters() if parameter.dim() > 1)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"unet", levels = 2', '"unett", levels = 2', r"toml:10: .*of\.0\.use: no plugin supplies.*'unett'.*'unet'"),
        ("levels = 2", "levls = 2", r"toml:10: .*of\.0\.levls: generator 'unet' has no parameter.*mean 'levels'"),
        ("levels = 2", "levels = 0", r"toml:10: .*of\.0\.levels: .*greater than or equal to 1"),
        ('of = { use = "unet", levels = 1', 'of = { used = "x", levels = 1', r"toml:10: .*of\.1.*'ensemble' needs"),
        ('{ use = "asks", role = "g" }', '"asks"', r"toml:14: losses\.a\.of\.of: .*it names a component, as a table"),
        ('role = "g"', 'role = "h"', r"toml:14: losses\.a\.of\.of\.role: there is no translator 'h'"),
        ("by = 3", "by = -3", r"toml:14: losses\.a\.of\.by: .*greater than 0"),
    ],
)
def test_a_mistake_is_found_where_it_stands(registry: Any, tmp_path: Path, before: str, after: str, said: str) -> None:
    with pytest.raises(GantkError, match=said):
        made(registry, tmp_path, before, after)


def test_a_child_may_change_one_of_them(registry: Any, tmp_path: Path) -> None:
    made(registry, tmp_path)
    child = tmp_path / "child.toml"
    child.write_text('extends = "nested.toml"\nname = "child"\n[losses.a.of]\nuse = "l1"\n')
    (term,) = build(load_recipe(child), registry)[0].terms
    assert type(term.loss.of).__name__ == "L1"  # what belonged to the other is gone


def test_schema_and_description_know_them(registry: Any) -> None:
    shown = {p["name"]: p["type"] for p in describe(registry.get("generator", "behind"))["parameters"]}
    assert shown == {
        "first": "table that names a generator",
        "of": "list of tables that name a generator",
        "last": "table that names a generator",
    }
    check = jsonschema.Draft7Validator(recipe_schema(registry))
    table = tomllib.loads(RECIPE)
    assert check.is_valid(table)
    table["variants"] = {"wide": {"translators.g.generator.of": [], "losses.a.of.of.role": "g"}}
    assert check.is_valid(table)
    table["losses"]["a"]["of"]["of"]["rol"] = 1
    assert not check.is_valid(table)
    table = tomllib.loads(RECIPE)
    table["translators"]["g"]["generator"]["of"][0]["use"] = "l1"
    assert not check.is_valid(table)
