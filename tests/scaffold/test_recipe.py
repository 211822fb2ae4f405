"""Recipes written after another."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from command_line import call
from gantk.recipe import dump_recipe, load_recipe
from gantk.recipe.variants import is_sweep
from gantk.scaffold.recipe import shipped_recipes

ALONE = sorted(name for name, path in shipped_recipes().items() if not is_sweep(path))


@pytest.mark.parametrize("like", ALONE)
def test_a_recipe_like_another_is_the_same_under_another_name(tmp_path: Path, like: str) -> None:
    assert call("new", "recipe", "mine", "--like", like, "--out", tmp_path).exit_code == 0
    made, model = load_recipe(tmp_path / "mine.toml"), load_recipe(shipped_recipes()[like])
    assert dump_recipe(made) == dump_recipe(model.model_copy(update={"name": "mine"}))
    assert "extends" not in tomllib.loads((tmp_path / "mine.toml").read_text(encoding="utf-8"))


def test_comments_stay_and_a_schema_is_named_where_it_lies(tmp_path: Path) -> None:
    call("new", "recipe", "one", "--like", "pix2pix", "--out", tmp_path)
    assert (tmp_path / "one.toml").read_text(encoding="utf-8").startswith("# Pix2Pix (Isola et al., 2017)")
    assert call("new", "recipe", "two", "--like", "pix2pix", "--schema", "--out", tmp_path).exit_code == 0
    assert (tmp_path / "two.toml").read_text(encoding="utf-8").startswith("#:schema gantk.schema.json\n# Pix2Pix")
    assert call("new", "recipe", "three", "--like", tmp_path / "two.toml", "--out", tmp_path).exit_code == 0
    assert (tmp_path / "three.toml").read_text(encoding="utf-8").count("#:schema") == 1
