"""From TOML to a recipe: parents, overrides, errors that say where, and the way back."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base_recipe import BASE, SCALARS, WORDS, line_of
from gantk.errors import RecipeError
from gantk.recipe import Recipe, dump_recipe, load_recipe, located, recipe_from_table

Write = Callable[..., Path]


# --- parents ----------------------------------------------------------------------------------------


def test_parents_have_parents_and_paths_are_relative_to_the_file(write: Write) -> None:
    write('extends = "../base.toml"\nname = "middle"\nrun.seed = 4', "below/middle.toml")
    recipe = load_recipe(write('extends = "middle.toml"\nname = "last"', "below/last.toml"))
    assert (recipe.name, recipe.run.seed, recipe.data.inputs) == ("last", 4, ["t1", "t2"])


def test_a_circle_of_parents_is_an_error(write: Write) -> None:
    write('extends = "two.toml"', "one.toml")
    with pytest.raises(RecipeError, match="circle"):
        load_recipe(write('extends = "one.toml"', "two.toml"))


def test_a_missing_parent_is_named_with_the_nearest(write: Write) -> None:
    with pytest.raises(RecipeError, match=r"basse\.toml: no such recipe; did you mean 'base.toml'"):
        load_recipe(write('extends = "basse.toml"'))


# --- like ---------------------------------------------------------------------------------------------


def test_like_copies_a_role_and_lays_the_rest_over_it(base: Path) -> None:
    a, b = load_recipe(base).translators.values()
    assert b.generator.parameters == {"channels": 16, "blocks": 2}
    assert a.generator.parameters == {"channels": 8, "blocks": 2}
    assert b.discriminator == a.discriminator
    assert b.optimizer == a.optimizer


def test_a_change_to_the_model_reaches_those_like_it(base: Path) -> None:
    recipe = load_recipe(base, ["translators.a.generator.blocks=5", "translators.a.optimizer.weight_decay=0.5"])
    assert recipe.translators["b"].generator.parameters == {"channels": 16, "blocks": 5}
    assert recipe.translators["b"].optimizer.parameters == {"weight_decay": 0.5}


def test_a_like_role_may_use_another_component(write: Write) -> None:
    recipe = load_recipe(write(BASE.replace("generator.channels = 16", 'generator.use = "unet"'), "base.toml"))
    assert recipe.translators["b"].generator.parameters == {}
    assert recipe.translators["a"].generator.parameters == {"channels": 8, "blocks": 2}


def test_what_is_no_table_cannot_be_copied(base: Path) -> None:
    for key in ('like="b"', 'average_of="b", decay=0.9'):
        with pytest.raises(RecipeError, match=r"translators.c.*'b', which is not a name of a translator above it"):
            load_recipe(base, ["translators.b=true", f"translators.c={{{key}}}"])


def test_like_must_name_a_role_above(write: Write) -> None:
    text = BASE.replace('like = "a"', 'like = "aa"')
    with pytest.raises(RecipeError, match=rf"base\.toml:{line_of(text, 'like')}: translators.b is like 'aa'.*'a'"):
        load_recipe(write(text, "base.toml"))


# --- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "message"), [("a = [", "not valid TOML"), ("a = 1\na = 2", "not valid TOML")])
def test_no_toml(write: Write, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(text))


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "nowhere" / "x.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "binary.toml")


def test_a_mistake_of_a_parent_is_placed_in_the_parent(write: Write) -> None:
    text = BASE.replace("strength = 2.0", "strength = 2.0\nenabled = 7")
    write(text, "base.toml")
    child = write('extends = "base.toml"\n[maps.edges]\nstrength = 3')
    with pytest.raises(RecipeError, match=rf"base\.toml:{line_of(text, 'enabled')}: maps\.edges\.enabled"):
        load_recipe(child)


def test_errors_of_components_get_the_line_of_their_key(write: Write) -> None:
    text = BASE.replace("window = 7", "windwo = 7")
    error = RecipeError(
        "loss 'ssim' has no parameter 'windwo'", where="losses.structure.windwo", mend="did you mean 'window'?"
    )
    shown = str(located(error, load_recipe(write(text, "base.toml"))))
    assert f"base.toml:{line_of(text, 'windwo')}: losses.structure.windwo: loss 'ssim' has no parameter" in shown
    assert "did you mean 'window'" in shown
    assert located(error, recipe_from_table(tomllib.loads(text))) is error  # of no file
    elsewhere = RecipeError("no such folder", where="/data/of the patients")
    assert located(elsewhere, load_recipe(write(text, "base.toml"))) is elsewhere


# --- there and back ----------------------------------------------------------------------------------------


def shipped() -> list[str]:
    folder = Path(__file__).parents[2] / "recipes"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.toml"))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_loads_and_comes_back(recipes: Path, tmp_path: Path, name: str) -> None:
    recipe = load_recipe(recipes / name)
    (tmp_path / "dumped.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "dumped.toml") == recipe


def test_the_dump_is_complete(base: Path) -> None:
    dumped = tomllib.loads(dump_recipe(load_recipe(base)))
    assert dumped["translators"]["b"]["generator"] == {"use": "resnet", "channels": 16, "blocks": 2}
    assert dumped["training"]["updates"] == ["discriminator", "generator"]  # defaults are written out
    assert "like" not in dumped["translators"]["b"]


parameters = st.dictionaries(WORDS.map(lambda w: f"p_{w}"), SCALARS, max_size=4)


@given(
    generator=parameters,
    loss=parameters,
    schedule=parameters,
    dataset=parameters,
    seed=st.integers(0, 2**31),
    fraction=st.floats(0, 1, exclude_min=True),
    weight=st.floats(-1e6, 1e6),
    description=st.text(max_size=20),
    stages=st.none() | st.lists(WORDS, min_size=1, max_size=2, unique=True),
)
def test_any_recipe_comes_back(
    generator: dict[str, Any],
    loss: dict[str, Any],
    schedule: dict[str, Any],
    dataset: dict[str, Any],
    seed: int,
    fraction: float,
    weight: float,
    description: str,
    stages: list[str] | None,
) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "any",
            "description": description,
            "run": {"seed": seed},
            "data": {"dataset": "d", "inputs": ["a"], "target": "b", "paired_fraction": fraction, **dataset},
            "translators": {"one": {"generator": {"use": "g", **generator}}},
            "losses": {"l": {"use": "x", "on": "one", "weight": weight, "stages": stages, **loss}},
            "schedule": {"use": "s", **schedule},
        }
    )
    again = recipe_from_table(tomllib.loads(dump_recipe(recipe)))
    assert again == recipe
    assert again.losses["l"].parameters == loss
    assert again.data.parameters == dataset
