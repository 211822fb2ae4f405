"""Recipes run with components that are not installed."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

import gantk
import gantk.testing
from gantk import Scheduler, View
from mistakes import Generator


def test_a_recipe_runs_with_components_that_are_not_installed(tmp_path: Path) -> None:
    recipe = {
        "name": "own",
        "data": {
            "dataset": "phantom",
            "inputs": ["x"],
            "target": "y",
            "crop": [24, 24],
            "slices": "all",
            "batch": {"paired": 2},
        },
        "translators": {"g": {"generator": {"use": "tiny"}}},
        "losses": {"term": {"use": "mine", "on": "g"}},
        "schedule": {"use": "brief"},
        "evaluation": {"metrics": ["mse"], "regions": ["image"]},
    }

    class Pixelwise:
        """A loss."""

        def __call__(self, view: View) -> Tensor:
            return (view.target - view.output).abs().mean()

    made = gantk.testing.session(
        installed=False, generator={"tiny": Generator}, loss={"mine": Pixelwise}, scheduler={"brief": Scheduler}
    )
    run = gantk.testing.run_recipe(recipe, session=made, steps=3, folder=tmp_path)
    assert [set(losses) for losses in run.losses] == [{"g/term"}] * 3
    assert run.stages == ["training"] * 3
    assert run.summary["methods"]["g"]["mse"]["mean"] > 0
    assert run.folder.is_relative_to(tmp_path)
