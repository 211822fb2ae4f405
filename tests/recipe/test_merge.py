"""Recipes laid over one another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base_recipe import BASE, SCALARS, WORDS
from gantk.errors import RecipeError
from gantk.recipe import load_recipe
from gantk.recipe.merge import merge

Write = Callable[..., Path]


def test_a_child_lays_its_keys_over_its_parents(write: Write) -> None:
    recipe = load_recipe(
        write('extends = "base.toml"\nname = "child"\n[run]\nprecision = "bf16"\n[losses.pixelwise]\nweight = 5')
    )
    assert recipe.name == "child"
    assert recipe.run.seed == 3
    assert recipe.run.precision == "bf16"
    assert recipe.losses["pixelwise"].weight == 5
    assert recipe.losses["pixelwise"].map == "edges"
    assert list(recipe.losses) == ["pixelwise", "structure"]


def test_a_table_that_names_another_component_starts_afresh(write: Write) -> None:
    child = write(
        'extends = "base.toml"\n'
        '[schedule]\nuse = "constant"\n'
        '[translators.a]\ngenerator = { use = "unet" }\n'
        '[losses.pixelwise]\nuse = "l2"\n'
        '[losses.structure]\nuse = "l2"\n'
        '[data]\ndataset = "brats"\nroot = "there"\n'
    )
    recipe = load_recipe(child)
    assert recipe.schedule.parameters == {}
    assert recipe.translators["a"].generator.parameters == {}
    assert recipe.losses["structure"].parameters == {}  # window was ssim's
    assert recipe.losses["pixelwise"].weight == 100  # the table's own keys stay
    assert recipe.losses["pixelwise"].map == "edges"
    assert recipe.data.parameters == {"root": "there"}  # subjects was the phantom's
    assert recipe.data.inputs == ["t1", "t2"]
    assert recipe.translators["a"].discriminator.parameters == {"layers": 2}


def test_a_table_that_names_the_same_component_keeps_its_parameters(write: Write) -> None:
    recipe = load_recipe(write('extends = "base.toml"\n[schedule]\nuse = "linear_decay"\nepochs = 3'))
    assert recipe.schedule.parameters == {"epochs": 3, "decay_epochs": 5}


def test_another_optimizer_keeps_the_rates(write: Write) -> None:
    child = (
        load_recipe(write('extends = "base.toml"\n[translators.a.optimizer]\nuse = "sgd"')).translators["a"].optimizer
    )
    base = load_recipe(write(BASE, "base.toml")).translators["a"].optimizer
    assert child.use == "sgd"
    assert child.rates == base.rates


def test_without_takes_out_what_a_parent_has(write: Write) -> None:
    keys = ["losses.structure", "translators.b", "data.batch.unpaired", "losses.pixelwise.map", "maps.edges"]
    recipe = load_recipe(write(f'extends = "base.toml"\nwithout = {keys}'))
    assert list(recipe.losses) == ["pixelwise"]
    assert list(recipe.translators) == ["a"]
    assert recipe.data.batch == {"paired": 2}
    assert recipe.losses["pixelwise"].map is None
    assert recipe.maps == {}


def test_what_is_taken_out_can_be_put_in_afresh(write: Write) -> None:
    child = 'extends = "base.toml"\nwithout = ["losses.pixelwise"]\n[losses.pixelwise]\nuse = "l1"\non = "b"'
    assert load_recipe(write(child)).losses["pixelwise"].weight == 1


@pytest.mark.parametrize("key", ["losses.pixelwis", "loses.pixelwise", "name.first", "run.seed.first"])
def test_taking_out_what_is_not_there_is_an_error(write: Write, key: str) -> None:
    with pytest.raises(RecipeError, match=rf"child\.toml:3: cannot leave out '{key}'"):
        load_recipe(write(f'extends = "base.toml"\n\nwithout = ["{key}"]'))


def test_without_is_a_list(write: Write) -> None:
    with pytest.raises(RecipeError, match="`without` must be a list of keys"):
        load_recipe(write('extends = "base.toml"\nwithout = "losses.structure"'))


tables = st.recursive(SCALARS, lambda inner: st.dictionaries(WORDS, inner, max_size=3), max_leaves=8)
trees = st.dictionaries(WORDS, tables, max_size=4)


@given(trees, trees)
def test_merging_keeps_both_and_prefers_the_change(base: dict[str, Any], change: dict[str, Any]) -> None:
    def merged(a: Any, b: Any) -> Any:
        if isinstance(a, dict) and isinstance(b, dict):
            return {k: merged(a.get(k), b[k]) if k in b else a[k] for k in {**a, **b}}
        return b

    expected = merged(base, change)
    merge(base, change)
    assert base == expected


def test_another_schedule_keeps_what_acts_beside_it(write: Write) -> None:
    also = '[[schedule.also]]\nuse = "early_stop"\nrole = "r"'
    write(f'extends = "base.toml"\n[schedule]\nuse = "cosine"\n{also}', "mid.toml")
    recipe = load_recipe(write('extends = "mid.toml"\n[schedule]\nuse = "linear_decay"\nepochs = 3'))
    assert recipe.schedule.parameters == {"epochs": 3}
    assert [(also.use, also.parameters) for also in recipe.schedule.also] == [("early_stop", {"role": "r"})]
