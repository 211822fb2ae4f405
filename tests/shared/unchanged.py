"""Losses of slices as they were before volumes came, and how they are computed again.

`unchanged.json` holds them. Another processor or torch rounds otherwise, so they are compared with a tolerance; on
the machine that wrote them they were equal to the last bit. `python tests/shared/unchanged.py ds3_semi` writes the
losses of a recipe anew, which is only right after a change that is meant to change them; without a name, it writes all.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import torch

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
#: These contain all losses, maps, transforms and networks that slices and volumes share.
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
    """The record of a run of the tiny recipe: losses, validation metrics and the evaluation's means."""
    measured = json.loads((run / "evaluation" / "summary.json").read_text(encoding="utf-8"))["methods"]
    means = {f"{method}/{name}": of["mean"] for method, columns in measured.items() for name, of in columns.items()}
    lines = [record["metrics"] for record in Journal(run / "metrics.jsonl").records()]
    timeless = [{key: v for key, v in line.items() if "second" not in key and "time" not in key} for line in lines]
    return [*timeless, means]


def _tiny_run() -> Path:
    folder = Path(tempfile.mkdtemp())
    recipe = folder / "tiny.toml"
    recipe.write_text(RECIPE.format(root=toml(write_cohort(folder / "patients"))), encoding="utf-8")
    os.environ["GANTK_CACHE"] = str(folder / "cache")
    return gantk.run(recipe, out=folder / "runs", device="cpu", progress=QuietProgress()).folder


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    registry = load_plugins().registry
    record = json.loads(FILE.read_text(encoding="utf-8"))
    record["losses"] |= {name: losses(name, registry) for name in names or NAMES}
    if not names:
        record["run"] = journalled(_tiny_run())
    FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
