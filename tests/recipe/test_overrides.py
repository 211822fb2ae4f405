"""Overrides: how they are read, and which one counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gantk.errors import RecipeError, UsageError
from gantk.recipe import load_recipe
from gantk.recipe.overrides import _override


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("x.y=1", 1),
        ("x.y=1.5", 1.5),
        ("x.y = 2e-4", 2e-4),
        ("x.y=true", True),
        ("x.y=[1, 2]", [1, 2]),
        ("x.y={a = 1}", {"a": 1}),
        ('x.y="1"', "1"),
        ("x.y=lsgan", "lsgan"),
        ("x.y=paired.target", "paired.target"),
        ("x.y=/data/of the patients", "/data/of the patients"),
        ("x.y=a=b", "a=b"),
    ],
)
def test_overrides_are_typed_as_toml(override: str, value: Any) -> None:
    read = _override(override, "--set")["x"]["y"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("override", ["x.y", "=1", "x..y=1", "x y=1", ".x=1", ""])
def test_an_override_that_cannot_be_read(override: str) -> None:
    with pytest.raises(UsageError, match="--set: cannot read the override"):
        _override(override, "--set")


@pytest.mark.parametrize("turned", [False, True])
def test_overrides_are_one_change_in_whatever_order(base: Path, turned: bool) -> None:
    overrides = ["schedule.use=cosine", "schedule.epochs=7"]
    recipe = load_recipe(base, overrides[::-1] if turned else overrides)
    assert recipe.schedule.use == "cosine"
    assert recipe.schedule.parameters == {"epochs": 7}


def test_the_later_override_wins(base: Path) -> None:
    assert load_recipe(base, ["run.seed=1", "run.seed=2"]).run.seed == 2


def test_an_override_of_the_wrong_type(base: Path) -> None:
    with pytest.raises(RecipeError, match=r"run\.seed \(it is 'x'\).*integer"):
        load_recipe(base, ["run.seed=x"])
