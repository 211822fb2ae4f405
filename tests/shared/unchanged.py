"""Losses of slices as they were before volumes came, and how they are computed again.

`unchanged.json` holds them to the last bit, with a fingerprint of the machine's arithmetic: another processor or torch
rounds otherwise. `python tests/shared/unchanged.py` writes the file, which is only right after a change that is meant
to change numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F

import gantk
from gantk.api.checks import make_scheduler
from gantk.plugins import Registry, load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import load_recipe
from gantk.tracking.journal import Journal
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Moment, assemble
from small_recipes import batch, small
from tiny_runs import RECIPE, toml, write_cohort

FILE = Path(__file__).with_name("unchanged.json")
RECIPES = Path(__file__).parents[2] / "recipes"
#: All losses, maps, transforms and networks that slices and volumes have in common are in these.
NAMES = ("cut_difficulty", "cyclegan", "ds3_published", "ds3_semi", "mean_teacher", "pix2pix", "pix2pixhd")
STEPS = 2

Losses = dict[str, list[dict[str, float]]]


def losses(name: str, registry: Registry) -> Losses:
    """The losses of two steps of each stage of a shipped recipe, narrowed, on made slices."""
    recipe = small(load_recipe(RECIPES / f"{name}.toml"))
    scheduler = make_scheduler(recipe, registry)
    assembly = assemble(recipe, registry)
    found: Losses = {}
    for stage in scheduler.stages(recipe.learning):
        plan = assembly.plan(stage.name, stage.roles)
        for role, translator in assembly.translators.items():
            translator.train(role in stage.roles)
        optimizers = {
            role: Optimizers(assembly.translators[role], assembly.optimizers[role], stage.name) for role in stage.roles
        }
        updater = Updater(assembly.translators, optimizers, plan, recipe.training, nullcontext)
        found[stage.name] = []
        for step in range(STEPS):
            torch.manual_seed(step)
            moment = Moment(stage.name, 0, stage.epochs, step)
            groups = assembly.transformed(batch(recipe, assembly, plan), moment)
            values = updater.step([groups], dict.fromkeys(stage.roles, 1.0), moment)
            found[stage.name].append(dict(sorted(values.items())))
    return found


def journalled(run: Path) -> list[dict[str, float]]:
    """What a run of the tiny recipe wrote down: losses, validation metrics and the evaluation's means."""
    measured = json.loads((run / "evaluation" / "summary.json").read_text(encoding="utf-8"))["methods"]
    means = {f"{method}/{name}": of["mean"] for method, columns in measured.items() for name, of in columns.items()}
    lines = [record["metrics"] for record in Journal(run / "metrics.jsonl").records()]
    timeless = [{key: v for key, v in line.items() if "second" not in key and "time" not in key} for line in lines]
    return [*timeless, means]


def arithmetic() -> str:
    """What this machine and torch make of the operations that networks consist of, as 12 hex digits."""
    random = torch.Generator().manual_seed(0)
    image = torch.rand(2, 8, 32, 32, generator=random).requires_grad_()
    kernel, dense = (torch.rand(*shape, generator=random) - 0.5 for shape in ((8, 8, 3, 3), (32, 32)))
    hidden = F.group_norm(F.conv2d(F.pad(image, (1, 1, 1, 1), "reflect"), kernel), 8).tanh() @ dense
    hidden = F.interpolate(F.batch_norm(hidden, None, None, training=True), scale_factor=2, mode="bilinear")
    (F.conv_transpose2d(hidden, kernel, stride=2).square().mean() + hidden.softmax(1).log().std()).backward()
    assert image.grad is not None
    return hashlib.sha256(image.grad.numpy().tobytes()).hexdigest()[:12]


def _tiny_run() -> Path:
    folder = Path(tempfile.mkdtemp())
    recipe = folder / "tiny.toml"
    recipe.write_text(RECIPE.format(root=toml(write_cohort(folder / "patients"))), encoding="utf-8")
    os.environ["GANTK_CACHE"] = str(folder / "cache")
    return gantk.run(recipe, out=folder / "runs", device="cpu", progress=QuietProgress()).folder


def main() -> None:
    torch.set_num_threads(1)
    registry = load_plugins().registry
    record = {
        "arithmetic": arithmetic(),
        "losses": {name: losses(name, registry) for name in NAMES},
        "run": journalled(_tiny_run()),
    }
    FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
