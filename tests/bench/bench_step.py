"""Seconds per step of a recipe, by stage, on random slices: `python tests/bench/bench_step.py RECIPE [a.b=1 ...]`.

On a GPU where there is one, with its name and the most memory that was held.
"""

from __future__ import annotations

import sys
import time

import torch

from gantk.api.checks import build
from gantk.data.batch import Group
from gantk.plugins import load_plugins
from gantk.recipe import Recipe, load_recipe
from gantk.training.device import autocasting, computing, pick_device
from gantk.training.state import TrainingState
from gantk.training.update import Updater
from timing import where

WARM, TIMED = 2, 10
WARM_GPU, TIMED_GPU = 10, 50


def group(recipe: Recipe, size: int, with_target: bool) -> Group:
    height, width = recipe.data.crop
    source = torch.rand(size, len(recipe.data.inputs), height, width) * 2 - 1
    target = torch.rand(size, 1, height, width) * 2 - 1 if with_target else None
    labels = torch.zeros(size, 1, height, width, dtype=torch.uint8)
    return Group(source, target, labels, ("",) * size, tuple(range(size)))


def main(path: str, overrides: list[str]) -> None:
    recipe = load_recipe(path, overrides)
    assembly, scheduler = build(recipe, load_plugins().registry)
    device = pick_device()
    state = TrainingState(recipe, assembly, scheduler, device)
    autocast = autocasting(device, recipe.run.precision)
    batch = {name: group(recipe, size, name != "unpaired").to(device) for name, size in recipe.data.batch.items()}
    on_gpu = device.type == "cuda"
    for stage in scheduler.stages(list(state.translators)):
        plan = assembly.plan(stage.name, stage.roles)
        updater = Updater(state.translators, state.optimizers, plan, recipe.training, autocast, scalers=state.scalers)
        weights = dict.fromkeys(stage.roles, 1.0)
        warm, timed = (WARM_GPU, TIMED_GPU) if on_gpu else (WARM, TIMED)
        for step in range(warm + timed):
            if step == warm:
                began = time.perf_counter()
            with computing(device, recipe.run):
                updater.step([batch], weights)  # reads its values at its end, and so waits for the GPU
        seconds = (time.perf_counter() - began) / timed
        held = f", {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB" if on_gpu else ""
        what = " ".join([recipe.run.precision, *overrides])
        print(f"{stage.name}: {seconds:.4f} s/step, {where(device)}, {what}{held}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
