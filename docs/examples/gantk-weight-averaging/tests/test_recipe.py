"""The recipe trains with the balance."""

from pathlib import Path

import gantk.testing

RECIPE = Path(__file__).parents[1] / "recipe.toml"


def test_recipe_trains() -> None:
    run = gantk.testing.run_recipe(RECIPE)
    assert all(losses["generator/pixelwise"] > 0 for losses in run.losses)
    assert all(losses["generator/weight structure"] == 1 for losses in run.losses)  # in the first epoch
    assert "generator" in run.summary["methods"]
