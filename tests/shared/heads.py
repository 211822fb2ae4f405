"""Heads with a tumor as NIfTI files, for checks of cohorts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (36, 44, 20)

NAMES = ("t1", "flair", "t1ce")


def patient(folder: Path, seed: int) -> Path:
    """A brain that is its own mirror image in its outline and not in its inside, with a bright tumor on one side."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.8
    inside = sum(((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 < r) for a, b, c, r in rng.uniform(-0.5, 0.5, (14, 4)))
    tumour = (x - 0.4) ** 2 + (y - 0.1) ** 2 + z**2 < 0.05
    for number, name in enumerate(NAMES):
        image = brain * (300 + (40 + 10 * number) * inside + 200 * tumour * (name != "t1") + rng.uniform(0, 10, SHAPE))
        save(folder / f"{folder.name}_{name}.nii.gz", image.astype(np.float32))
    save(folder / f"{folder.name}_seg.nii.gz", (2 * (tumour & brain)).astype(np.uint8))
    return folder


def save(path: Path, voxels: np.ndarray, spacing: float = 4.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.diag([-spacing, -spacing, spacing, 1])), path)


def change(path: Path, by: Callable[[np.ndarray], np.ndarray], spacing: float = 4.0) -> None:
    save(path, by(np.asarray(nib.load(path).dataobj)), spacing)
