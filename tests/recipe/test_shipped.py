"""The recipes that come with gantk, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.errors import RecipeError, UsageError
from gantk.recipe.load import load_recipe
from gantk.recipe.shipped import find_recipe, is_shipped, shipped_recipes


def test_a_file_wins_over_a_shipped_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_shipped(find_recipe("pix2pix"))
    assert load_recipe("pix2pix").name == "pix2pix"
    (tmp_path / "pix2pix").mkdir()  # such as of results
    assert is_shipped(find_recipe("pix2pix"))
    (tmp_path / "pix2pix.toml").write_text("")
    assert find_recipe("pix2pix") == Path("pix2pix.toml")
    assert find_recipe("pix2pix.toml") == Path("pix2pix.toml")
    (tmp_path / "pix2pix").rmdir()
    (tmp_path / "pix2pix").write_text("")
    assert find_recipe("pix2pix") == Path("pix2pix")


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'pix2pix'"):
        find_recipe("pix3pix")


def test_a_part_of_a_name_gets_those_that_hold_it() -> None:
    with pytest.raises(RecipeError, match="did you mean one of 'cyclegan', 'images/cyclegan'"):
        find_recipe("cycle")


def test_a_file_that_is_not_there_among_none(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="name a TOML file, or a recipe that `gantk recipes` lists"):
        load_recipe(tmp_path / "mine.toml")


def test_each_says_what_it_trains_in_a_line() -> None:
    assert shipped_recipes()
    for path in shipped_recipes().values():
        assert "description" in path.read_text(encoding="utf-8"), path


def test_a_recipe_and_its_changes_as_dicts() -> None:
    table = {"extends": str(shipped_recipes()["pix2pix"]), "name": "mine"}
    recipe = load_recipe(table, {"run.seed": 3, "training": {"panels_every": 7}})
    assert (recipe.name, recipe.run.seed, recipe.training.panels_every) == ("mine", 3, 7)
    assert table["name"] == "mine"
    assert "extends" in table  # what was given is left as it is


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"run.sed": 3}, RecipeError),
        ({"variants.a.x": 1}, UsageError),
        (["run.sed=3"], RecipeError),
        (["run.seed"], UsageError),
    ],
)
def test_errors_of_the_api_do_not_speak_of_the_command_line(changes: dict | list, error: type[Exception]) -> None:
    with pytest.raises(error) as said:
        load_recipe("pix2pix", changes)
    assert "--set" not in str(said.value)
    assert "overrides" in str(said.value)
