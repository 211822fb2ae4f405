"""A run with example slices."""

from __future__ import annotations

from pathlib import Path

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
