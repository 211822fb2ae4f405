"""Sweeps as they lie on disk, built by hand: their recipes, children and evaluations."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import numpy as np

from gantk.evaluation.results import Column, Evaluation, Row
from gantk.tables.model import Table, TableRow

__all__ = ["COLUMNS", "PATIENTS", "SweepFolder", "evaluate", "means", "row_of", "values"]

COLUMNS = {
    "ssim": Column("SSIM", "image", True),
    "mse": Column("MSE", "image", False),
    "ssim_tumour": Column("SSIM", "tumour", True),
}
PATIENTS = [f"p{i}" for i in range(8)]
RECIPE = """name = "{name}"
predict = "student"
[run]
seed = {seed}
[data]
paired_fraction = {fraction}
[translators.teacher]
[translators.student]
"""


def values(mean: float, seed: int) -> dict[str, dict[str, float]]:
    """Values by patient and column; the first patient has no tumor."""
    noise = np.random.default_rng([seed, round(mean * 1e6)]).normal(0, 0.01, (len(PATIENTS), 3))
    return {
        p: {
            "ssim": mean + a,
            "mse": 0.1 * (1 - mean) + 0.01 * abs(b),
            "ssim_tumour": math.nan if i == 0 else mean / 2 + c,
        }
        for i, (p, (a, b, c)) in enumerate(zip(PATIENTS, noise, strict=True))
    }


def evaluate(
    folder: Path, methods: dict[str, float], seed: int, *, fraction: float = 0.05, name: str = "r", **hashes: str
) -> Evaluation:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(RECIPE.format(name=name, seed=seed, fraction=fraction), encoding="utf-8")
    (folder / "status.json").write_text('{"state": "finished"}', encoding="utf-8")
    found = {method: values(mean, seed) for method, mean in methods.items()}
    found["input:t1"] = values(0.5, 99)
    found["training_mean"] = values(0.3 + fraction / 10, 98)
    rows = [Row(p, method, 5, by_patient[p]) for p in PATIENTS for method, by_patient in found.items()]
    evaluation = Evaluation(hashes.get("split", "s1"), hashes.get("settings", "e1"), COLUMNS, rows)
    evaluation.write(folder / "evaluation")
    return evaluation


class SweepFolder:
    """A sweep as it lies on disk, built by hand."""

    def __init__(self, root: Path, variants: str, grid: str = '"run.seed" = [0, 1, 2]') -> None:
        self.root = root
        self.children: list[dict] = []
        root.mkdir(parents=True)
        text = f'name = "{root.name}"\ndescription = "a test"\n{variants}\n[sweep]\n{grid}\n'
        (root / "recipe.toml").write_text(text, encoding="utf-8")

    def child(self, variant: str, seed: int, changes: dict | None = None, **more) -> Path:
        changes = {**(changes or {}), "run.seed": seed}
        id_ = "-".join([variant, *(str(value) for value in changes.values())])
        entry = {"id": id_, "variant": variant, "changes": changes, "label": f"{variant}, with values", **more}
        self.children.append(entry)
        folder = self.root / "children" / id_
        folder.mkdir(parents=True)
        (folder / "child.json").write_text(json.dumps({"parent": self.root.name} | entry), encoding="utf-8")
        head = {"name": self.root.name, "description": "a test", "recipe": "x.toml", "children": self.children}
        (self.root / "sweep.json").write_text(json.dumps(head), encoding="utf-8")
        return folder


def row_of(table: Table, name: str) -> TableRow:
    (row,) = [row for row in table.rows if row.name == name]
    return row


def means(name: str, method_mean: float, seeds) -> list[float]:
    return [statistics.fmean(v for v in (p[name] for p in values(method_mean, s).values()) if v == v) for s in seeds]
