"""Example slices cut from a real brain, and a run's folder around them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from drawn_runs import make_examples
from gantk.evaluation.examples import Examples
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.report.panels import draw_panel


@pytest.fixture
def examples() -> Examples:
    return make_examples()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of a recipe with unusual names in it."""
    folder = tmp_path / "runs" / "demo-20261122-120000-abcd"
    folder.mkdir(parents=True)
    roles = ("a2b", "<b>mean</b>")
    shown = make_examples(roles)
    shown.save(folder / "evaluation/examples.npz")
    columns = {
        "ssim": Column("SSIM", "image", True),
        "ssim_tumour": Column("SSIM", "tumour", True),
        "lpips": Column("LPIPS", "image", False),
    }
    rows = [
        Row(f"patient {p}", method, 20 + p, {"ssim": s + p / 100, "ssim_tumour": t, "lpips": 1 - s})
        for p in range(3)
        for method, s, t in ((roles[0], 0.8, 0.4), (roles[1], 0.7, math.nan), ("input:t1", 0.6, 0.3))
    ]
    Evaluation("5plit", "5e771n65", columns, rows).write(folder / "evaluation")
    files = {
        "evaluation/weights.json": {"difficulty/a2b": {"tumour": 0.75, "brain": 0.25}},
        "status.json": {"state": "finished", "stage": "two", "step": 1200, "seconds": 3725.0, "split": "5plit"},
        "environment.json": {"device": "cpu", "git": {"commit": "0123456789abcdef", "dirty": True}},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "recipe.toml").write_text('name = "demo & more"\n[losses.x]\nweight = 1.0\n')
    for step in range(100, 1300, 100):
        path = folder / f"panels/validation/step-{step:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_panel(shown)).save(path)
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(1200):
            metrics = {"train/a2b/pixelwise": 1 / (1 + step), "train/a2b/<i>": 2.0, "rate/a2b/generator": 6e-4}
            if step % 200 == 0:
                metrics |= {"validation/a2b/ssim": 0.5 + step / 5000, "validation/<b>mean</b>/ssim": 0.4}
            stage = "one" if step < 500 else "two"
            record = {"seq": step, "step": step, "epoch": 0, "stage": stage, "time": 0, "metrics": metrics}
            file.write(json.dumps(record) + "\n")
    return folder
