"""The recipe trains, and the label matters."""

from pathlib import Path

import numpy as np
import tifffile
from gantk_tiff_stacks.__main__ import write

import gantk
import gantk.testing

RECIPE = Path(__file__).parents[1] / "recipe.toml"


def test_recipe_trains(tmp_path: Path) -> None:
    root = write(tmp_path / "specimens")
    run = gantk.testing.run_recipe(RECIPE, [f"data.root='{root.as_posix()}'"], cohort="own", folder=tmp_path)
    assert all(losses["generator/pixelwise"] > 0 for losses in run.losses)
    assert "generator" in run.summary["methods"]
    model = gantk.load(run.folder, device="cpu")
    out = tmp_path / "S00.tif"
    made = model.predict(root / "S00", out)
    assert np.array_equal(tifffile.imread(out), made)
    assert made.shape == (5, 40, 48)
    other = model.predict(root / "S00", given={"stain": "gfp"})
    assert not np.array_equal(made, other)
