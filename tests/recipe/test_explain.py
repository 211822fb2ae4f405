"""Mistakes in a recipe, explained with file, line and the nearest name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from base_recipe import BASE, line_of
from gantk.errors import RecipeError
from gantk.recipe import load_recipe

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("right", "wrong", "key", "mend"),
    [
        ("seed = 3", "sede = 3", "run.sede", "did you mean 'seed'"),
        ("[run]", "[runs]", "runs", "did you mean 'run'"),
        ("discriminator = {", "discriminater = {", "translators.a.discriminater", "did you mean 'discriminator'"),
        ('name = "base"', 'name = "base"\nzzz = 1', "zzz", "known: balance, data, description"),
    ],
)
def test_unknown_keys(write: Write, right: str, wrong: str, key: str, mend: str) -> None:
    text = BASE.replace(right, wrong)
    line = line_of(text, wrong.splitlines()[-1])
    with pytest.raises(RecipeError) as raised:
        load_recipe(write(text, "base.toml"))
    assert f"base.toml:{line}: unknown key '{key}'" in str(raised.value)
    assert mend in str(raised.value)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("seed = 3", 'seed = "three"', "run.seed (it is 'three'): Input should be a valid integer"),
        ("seed = 3", "seed = -1", "run.seed (it is -1): Input should be greater than or equal to 0"),
        ("batch = { paired = 2, unpaired = 3 }", "batch = { paired = 0 }", "data.batch.paired (it is 0)"),
        (
            'inputs = ["t1", "t2"]',
            'inputs = ["t1", "t1"]',
            "data.inputs (it is ['t1', 't1']): entries must not be",
        ),
        ('target = "t1ce"', 'target = "t2"', "the target 't2' is also an input"),
        ("weight = 100", 'weight = "much"', "losses.pixelwise.weight (it is 'much')"),
        ('name = "base"', 'name = "a/b"', "name (it is 'a/b')"),
    ],
)
def test_wrong_values(write: Write, right: str, wrong: str, message: str) -> None:
    text = BASE.replace(right, wrong)
    line = line_of(text, wrong)
    with pytest.raises(RecipeError) as raised:
        load_recipe(write(text, "base.toml"))
    assert f"base.toml:{line}: {message}" in str(raised.value)


def test_a_wrong_part_of_the_rates(write: Write) -> None:
    text = BASE.replace("rates = { generator", "rates = { generater")
    with pytest.raises(RecipeError, match=rf"base\.toml:{line_of(text, 'rates')}: .*rates\.generater"):
        load_recipe(write(text, "base.toml"))


@pytest.mark.parametrize(
    ("left_out", "message"),
    [('use = "l1"', "the key 'losses.pixelwise.use' is missing"), ('name = "base"', "the key 'name' is missing")],
)
def test_missing_keys(write: Write, left_out: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(BASE.replace(left_out, "", 1), "base.toml"))
