"""Runs as they lie on disk after their evaluation, of two translators and a baseline."""

from __future__ import annotations

from pathlib import Path

from gantk.evaluation.results import Column, Evaluation, Row

COLUMNS = {"ssim": Column("SSIM", "image", True), "ssim_brain": Column("SSIM", "brain", True)}


def evaluate(folder: Path, seed: int, mean: float, *, settings: str = "e") -> Path:
    """A run whose methods have about the mean given here, each patient a little more than the last."""
    folder.mkdir(parents=True, exist_ok=True)
    text = f'name = "r"\n[run]\nseed = {seed}\n[translators.teacher]\n[translators.student]\n'
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    rows = [
        Row(f"p{i}", method, 3, dict.fromkeys(COLUMNS, value + 0.01 * i + 0.003 * (i * seed % 3)))
        for i in range(6)
        for method, value in (("teacher", mean - 0.1), ("student", mean), ("training_mean", 0.2))
    ]
    Evaluation("split1", settings, COLUMNS, rows).write(folder / "evaluation")
    return folder
