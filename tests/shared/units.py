"""Patients whose modalities have numbers of every kind, a recipe of two of them, and its cohort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from gantk.api.cohort import Cohort, open_cohort
from gantk.api.listing import make_dataset
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import Recipe, load_recipe

SHAPE = (30, 34, 8)

X, Y, Z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")

BRAIN = X**2 + Y**2 + Z**2 < 0.8

RECIPE = """
name = "units"

[data]
dataset = "{dataset}"
root = "{root}"
inputs = ["{inputs}"]
target = "{target}"
crop = [32, 32]
slices = "all"
batch = {{ paired = 2 }}
steps_per_epoch = {steps}
{more}

[data.split]
ratio = [4, 1, 1]

[translators.g]
generator = {{ use = "unet", levels = 2, channels = 8 }}

[translators.g.optimizer]
rates = {{ generator = 5e-3 }}

[losses.pixelwise]
use = "l1"
on = "g"

[schedule]
use = "constant"
epochs = 1

[evaluation]
metrics = ["mse"]
regions = ["image"]
examples = 1

[tracking]
enabled = false
"""

Make = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def z_scored(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()


# a modality made of a smooth image that is 0 outside the brain and 100 to 500 inside
UNITS: dict[str, Make] = {
    "mr": lambda x, r: x * r.uniform(0.5, 4),
    "offset": lambda x, r: x + 100,
    "ct": lambda x, r: np.rint(np.where(BRAIN, 4 * x - 1200, -1000)),
    "soft": lambda x, r: np.where(BRAIN, np.rint(r.normal(20, 15, SHAPE)), -1024),
    "zinside": lambda x, r: np.where(BRAIN, (x - x[BRAIN].mean()) / x[BRAIN].std(), 0),
    "zwhole": lambda x, r: z_scored(x),
    "inverted": lambda x, r: 600 - x,
    "brainct": lambda x, r: np.where(BRAIN, x / 10, 0),
}


def write(root: Path, units: list[str], patients: int = 6, dtype: type = np.float32) -> Path:
    for number in range(patients):
        for place, unit in enumerate(units):
            r = np.random.default_rng([number, place])
            x = BRAIN * (300 + 150 * np.sin(3 * X + number) * np.cos(2 * Y + place) + r.uniform(-50, 50, SHAPE))
            path = root / f"P{number}" / f"P{number}_{unit}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(UNITS[unit](x, r).astype(dtype), np.diag([-3.0, -3.0, 6.0, 1.0])), path)
    return root


def make_recipe(folder: Path, root: Path, source: str, target: str, more: str = "", **changes: Any) -> Path:
    told = {"dataset": "brats", "root": root.as_posix(), "inputs": source, "target": target, "steps": 1, "more": more}
    path = folder / "units.toml"
    path.write_text(RECIPE.format(**told | changes))
    return path


def opened(path: Path) -> tuple[Recipe, Cohort, Any]:
    recipe = load_recipe(path)
    registry = load_plugins().registry
    return recipe, open_cohort(recipe, registry, QuietProgress()), make_dataset(recipe, registry)
