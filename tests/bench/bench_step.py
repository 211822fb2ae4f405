"""Seconds per step of a recipe, by stage, on random slices: `python tests/bench/bench_step.py RECIPE [a.b=1 ...]`."""

from __future__ import annotations

import sys
import time

import torch

from gantk.api.checks import build
from gantk.data.batch import Group
from gantk.plugins import load_plugins
from gantk.recipe import Recipe, load_recipe
from gantk.training.device import autocasting
from gantk.training.state import TrainingState
from gantk.training.update import Updater

WARM, TIMED = 2, 10


def group(recipe: Recipe, size: int, with_target: bool) -> Group:
    height, width = recipe.data.crop
    source = torch.rand(size, len(recipe.data.inputs), height, width) * 2 - 1
    target = torch.rand(size, 1, height, width) * 2 - 1 if with_target else None
    labels = torch.zeros(size, 1, height, width, dtype=torch.uint8)
    return Group(source, target, labels, ("",) * size, tuple(range(size)))


def main(path: str, overrides: list[str]) -> None:
    recipe = load_recipe(path, overrides)
    assembly, scheduler = build(recipe, load_plugins().registry)
    state = TrainingState(recipe, assembly, scheduler, torch.device("cpu"))
    autocast = autocasting(state.device, recipe.run.precision)
    batch = {name: group(recipe, size, name != "unpaired") for name, size in recipe.data.batch.items()}
    for stage in scheduler.stages(list(state.translators)):
        plan = assembly.plan(stage.name, stage.roles)
        updater = Updater(state.translators, state.optimizers, plan, recipe.training, autocast)
        weights = dict.fromkeys(stage.roles, 1.0)
        for step in range(WARM + TIMED):
            if step == WARM:
                began = time.perf_counter()
            updater.step([batch], weights)
        seconds = (time.perf_counter() - began) / TIMED
        print(f"{stage.name}: {seconds:.3f} s/step, {torch.get_num_threads()} threads, {recipe.run.precision}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
