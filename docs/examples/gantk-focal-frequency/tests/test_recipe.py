"""The recipe trains with both components."""

from pathlib import Path

import gantk.testing

RECIPE = Path(__file__).parents[1] / "recipe.toml"


def test_recipe_trains() -> None:
    run = gantk.testing.run_recipe(RECIPE)
    assert all(losses["generator/pixelwise"] > 0 for losses in run.losses)
    assert all(losses["generator/frequency"] > 0 for losses in run.losses)
    assert "generator" in run.summary["methods"]
