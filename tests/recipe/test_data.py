"""The table of the data."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gantk.errors import RecipeError
from gantk.recipe import dump_recipe, load_recipe, recipe_from_table


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.split=nobody", r"data\.split \(it is 'nobody'\): must be a table, such as { ratio = .*, or \"none\""),
        ("data.split.sed=1", r"unknown key 'data\.split\.sed'; did you mean 'seed'"),
        ("data.split.seed=-1", r"data\.split\.seed \(it is -1\)"),
    ],
)
def test_a_split_is_a_table_or_a_word(base: Path, override: str, said: str) -> None:
    recipe = load_recipe(base, ["data.split=none"])
    assert recipe.data.split == "none"
    assert recipe_from_table(tomllib.loads(dump_recipe(recipe))) == recipe
    with pytest.raises(RecipeError, match=said):
        load_recipe(base, [override])
