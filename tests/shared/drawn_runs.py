"""Example slices cut from a real brain, and a run that has them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import nilearn
import numpy as np

from gantk.evaluation.examples import Examples
from gantk.evaluation.results import Column, Evaluation, Row

COLUMNS = {"ssim": Column("SSIM", "image", True), "ssim_tumour": Column("SSIM", "tumour", True)}


def write_run(folder: Path, examples: Examples, seed: int = 0, *, crop: int = 48, better: float = 0.0) -> Path:
    """A run with two roles, three patients and the example slices of a brain."""
    (folder / "evaluation").mkdir(parents=True)
    text = f'name = "{folder.name}"\npredict = "student"\n[run]\nseed = {seed}\n[data]\ncrop = [{crop}, 40]\n'
    (folder / "recipe.toml").write_text(text + "[translators.teacher]\n[translators.student]\n")
    (folder / "status.json").write_text('{"state": "finished", "seconds": 75.0}')
    examples.save(folder / "evaluation" / "examples.npz")
    rows = [
        Row(f"p{i}", method, 4, {"ssim": base + better + i / 50, "ssim_tumour": base / 2})
        for i in range(3)
        for method, base in (("teacher", 0.6), ("student", 0.7), ("input:t1", 0.5))
    ]
    Evaluation("5plit", "5e771n65", COLUMNS, rows).write(folder / "evaluation")
    return folder


def make_examples(roles: tuple[str, ...] = ("teacher", "student")) -> Examples:
    """Two slices of the ICBM 152 T1, 4 mm, with a disc as tumor that the roles reproduce to different degrees."""
    file = next(Path(nilearn.__file__).parent.glob("datasets/data/mni_icbm152_t1*"))
    volume = np.asarray(nib.load(file).dataobj, dtype=np.float32)[::4, ::4]
    image = np.stack([volume[:, :, z].T for z in (80, 95)])
    image = np.where(image > 5, image / image.max() * 1.6 - 1, -1).astype(np.float32)
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    disc = np.hypot(rows - 30, columns - 18) < 5
    target = np.where(disc, 0.9, image).astype(np.float32)
    return Examples(
        inputs={"t1": image, "t2": -image},
        target=target,
        outputs={role: np.where(disc, 0.2 + 0.2 * i, image).astype(np.float32) for i, role in enumerate(roles)},
        weights={f"difficulty/{role}": (disc + 0.2) * np.ones_like(image) for role in roles},
        segmentation=np.broadcast_to(disc * 4, image.shape).astype(np.uint8),
        titles=["BraTS20_Training_012, slice 80", "BraTS20_Training_012, slice 95"],
    )
