"""Checks between the keys of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.errors import RecipeError
from gantk.recipe import load_recipe


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            ['translators.mean={average_of="aa", decay=0.9}'],
            "average of 'aa', which is not a name of a translator",
        ),
        (['translators.mean={average_of="a"}'], "decay"),
        (["translators.b.decay=0.9"], "average_of"),
        (['translators.mean={average_of="a", decay=1.0}'], "less than 1"),
        (['translators.mean={average_of="a", decay=0.9, discriminator={use="patchgan"}}'], "no discriminator of its"),
        (['translators.mean={average_of="a", decay=0.9, generator={blocks=3}}'], "no generator of its own"),
        (
            ['translators.mean={average_of="a", decay=0.9}', 'translators.mean2={average_of="mean", decay=0.9}'],
            "'mean' is itself an average",
        ),
        (['translators.mean={average_of="a", decay=0.9}', "losses.pixelwise.on=mean"], "no term trains"),
    ],
)
def test_what_an_average_cannot_be(base: Path, wrong: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe(base, wrong)


def test_what_is_measured_is_what_is_not_shown(base: Path) -> None:
    everything = ['data.inputs=["t1", "t2"]', 'data.target=["t1", "t2", "t1ce"]']
    assert load_recipe(base, everything).measured == ("t1ce",)
    assert load_recipe(base, [*everything, 'evaluation.missing=["t2"]']).measured == ("t2", "t1ce")
    hidden = [*everything, 'evaluation.missing=["t1", "t2"]']
    assert load_recipe(base, [*hidden, 'evaluation.targets=["t1"]']).measured == ("t1",)
    with pytest.raises(RecipeError, match="the target 't1' is also an input"):
        load_recipe(base, [*everything, 'evaluation.targets=["t1"]'])
    for key, said in (("missing", "no input"), ("targets", "no target")):
        with pytest.raises(RecipeError, match=said):
            load_recipe(base, [*everything, f'evaluation.{key}=["pd"]'])


def test_an_auxiliary_translator_does_not_answer(base: Path) -> None:
    helped = ['translators.b={like="a", auxiliary=true}']
    recipe = load_recipe(base, helped)
    assert recipe.answering == recipe.evaluated == ("a",)
    assert recipe.predict_role == "a"
    for said in ("predict=b", 'evaluation.roles=["b"]', 'training.keep_best={metric="ssim", role="b"}'):
        with pytest.raises(RecipeError, match=r"the translator 'b' is auxiliary.*with a"):
            load_recipe(base, [*helped, said])
    with pytest.raises(RecipeError, match="no translator gives t1ce"):
        load_recipe(base, ["translators.a.auxiliary=true"])


def test_translators_that_do_not_make_what_is_measured_do_not_answer(base: Path) -> None:
    backwards = ['translators.b={like="a"}', 'translators.b.takes=["t1ce"]', 'translators.b.gives=["t1"]']
    recipe = load_recipe(base, backwards)
    assert recipe.answering == recipe.evaluated == ("a",)
    assert recipe.predict_role == "a"
    with pytest.raises(RecipeError, match="no translator gives t1ce"):
        load_recipe(base, ['translators.a.gives=["t1"]'])
