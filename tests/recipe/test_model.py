"""Defaults of recipes, and the meaning of values."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gantk.errors import RecipeError
from gantk.recipe import dump_recipe, load_recipe, recipe_from_table
from gantk.recipe.values import Selection


def test_an_average_has_the_generator_that_it_follows(base: Path) -> None:
    mean = ['translators.mean={average_of="a", decay=0.9}', "translators.a.generator.blocks=5"]
    recipe = load_recipe(base, mean)
    assert recipe.translators["mean"].generator == recipe.translators["a"].generator
    assert recipe.translators["mean"].discriminator is None
    assert recipe.learning == ("a", "b")
    assert recipe.answering == ("a", "b", "mean")
    assert recipe_from_table(tomllib.loads(dump_recipe(recipe))) == recipe


def test_processes_that_translate_other_patients_do_not_wait_for_one_another(base: Path) -> None:
    wrong = ["training.sync_batch_norm=true", "translators.a.at_test=train"]
    with pytest.raises(RecipeError, match=r"translators.a.at_test: training.sync_batch_norm and at_test"):
        load_recipe(base, wrong)
    assert load_recipe(base, wrong[:1]).training.sync_batch_norm


@pytest.mark.parametrize("said", ["t1ce", "run:", ":teacher", "weights.pt"])
def test_weights_are_of_a_run_or_a_file(base: Path, said: str) -> None:
    with pytest.raises(RecipeError, match=r"translators\.a\.weights \(it is .*must be \"RUN:ROLE\""):
        load_recipe(base, [f"translators.a.weights='{said}'"])


def test_a_weight_may_be_a_table(base: Path) -> None:
    ramp = "losses.pixelwise.weight={use='ramp', to=2, steps=9}"
    weight = load_recipe(base, [ramp, "losses.pixelwise.weight.to=3"]).losses["pixelwise"].weight
    assert isinstance(weight, Selection)
    assert (weight.use, weight.parameters) == ("ramp", {"to": 3, "steps": 9})
    other = load_recipe(base, [ramp, "losses.pixelwise.weight.use=other"]).losses["pixelwise"].weight
    assert isinstance(other, Selection)
    assert other.use == "other"
    assert load_recipe(base, [ramp, "losses.pixelwise.weight=4"]).losses["pixelwise"].weight == 4
    with pytest.raises(RecipeError, match=r"losses\.pixelwise\.weight\.use.* is missing"):
        load_recipe(base, ["losses.pixelwise.weight={to=2}"])


def test_inputs_and_targets_stand_for_the_names_in_data(base: Path) -> None:
    """So that a recipe runs on other data with the table `[data]` changed alone."""
    words = [
        "translators.b.takes=targets",
        "translators.b.gives=inputs",
        'evaluation.baselines=["input", "training_mean"]',
    ]
    recipe = load_recipe(base, words)
    assert recipe.translators["b"].takes == ["t1ce"]
    assert recipe.translators["b"].gives == ["t1", "t2"]
    assert recipe.translators["a"].takes is None
    assert recipe.evaluation.baselines == ["input:t1", "training_mean"]
    other = load_recipe(base, [*words, 'data.inputs=["a"]', 'data.target=["b", "c"]'])
    assert other.translators["b"].takes == ["b", "c"]
    assert other.evaluation.baselines[0] == "input:a"
    assert load_recipe(base, words).translators["a"].gives is None


def test_the_predicted_role_is_the_last_unless_said(base: Path) -> None:
    assert load_recipe(base).predict_role == "b"
    assert load_recipe(base, ["predict=a"]).predict_role == "a"
