"""The recipe trains."""

from pathlib import Path

import gantk.testing

RECIPE = Path(__file__).parents[1] / "recipe.toml"


def test_recipe_trains() -> None:
    run = gantk.testing.run_recipe(RECIPE)
    assert all(losses["generator/patchwise"] > 0 for losses in run.losses)
    assert "generator" in run.summary["methods"]
