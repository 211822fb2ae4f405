"""The cost of a step, measured on random images of a recipe's own size and number."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

import torch

from gantk.memory import enough_memory, peak_memory
from gantk.recipe import Recipe
from gantk.training.device import autocasting
from gantk.training.optimizers import Optimizers
from gantk.training.rehearsal import copy_of, group_of
from gantk.training.scheduler import Stage
from gantk.training.update import Updater
from gantk.translation import Assembly, Moment

__all__ = ["Cost", "step_cost"]


@dataclass(frozen=True)
class Cost:
    """The cost of one step.

    Attributes:
        seconds: of the second of two steps, which excludes the setup in the first.
        memory: peak in bytes: on CUDA of torch's allocations, elsewhere of this process so far.
    """

    seconds: float
    memory: int


def step_cost(recipe: Recipe, assembly: Assembly, stage: Stage, device: torch.device) -> Cost:
    """Train copies of the networks for two steps of a stage; a run is the same with and without it.

    Raises:
        GantkError: a step fails.
        MemoryShortage: memory does not suffice.
    """
    try:
        return _two_steps(recipe, assembly, stage, device)
    finally:
        gc.collect()  # the copies are in cycles, and would occupy memory of the training
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _two_steps(recipe: Recipe, assembly: Assembly, stage: Stage, device: torch.device) -> Cost:
    cuda = device.type == "cuda"
    with (
        torch.random.fork_rng(devices=[device] if cuda else []),
        enough_memory("for a step", f"data.batch, data.{recipe.data.size_key} or the networks' channels"),
    ):
        copied, size = copy_of(assembly), recipe.data.image_size
        for role, translator in copied.translators.items():
            translator.to(device).train(role in stage.roles)
            if recipe.training.checkpoint_activations:
                translator.recompute()
        plan = copied.plan(stage.name, stage.roles)
        moment = Moment(stage.name, 0, stage.epochs, 0)
        batch = {
            name: group_of(name, recipe.data.batch[name], copied.layout, size, recipe.data.extra).to(device)
            for name in plan.groups
        }
        optimizers = {
            role: Optimizers(copied.translators[role], copied.optimizers[role], stage.name) for role in stage.roles
        }
        autocast = autocasting(device, recipe.run.precision)
        updater = Updater(copied.translators, optimizers, plan, recipe.training, autocast)
        if cuda:
            torch.cuda.reset_peak_memory_stats(device)
        for _ in range(2):
            began = time.perf_counter()
            batches = [copied.transformed(batch, moment) for _ in range(recipe.training.accumulate)]
            updater.step(batches, dict.fromkeys(stage.roles, 1.0), moment)
            if cuda:
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - began
    memory = torch.cuda.max_memory_allocated(device) if cuda else peak_memory()
    return Cost(seconds, memory)
