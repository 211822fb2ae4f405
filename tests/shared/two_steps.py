"""Two steps of every stage of a small recipe: the initial weights, and the terms' values."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from typing import Any

import torch

from gantk.api.checks import make_scheduler
from gantk.plugins import Registry
from gantk.recipe import Recipe
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Moment, assemble
from small_recipes import batch

__all__ = ["two_steps"]


def two_steps(recipe: Recipe, registry: Registry) -> dict[str, Any]:
    """For initial networks, a digest of names and shapes and the sum of magnitudes; the values of terms by step."""
    assembly = assemble(recipe, registry)
    state = {f"{role}.{n}": t for role, one in assembly.translators.items() for n, t in one.state_dict().items()}
    shapes = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())
    found: dict[str, Any] = {
        "names": hashlib.sha256(shapes.encode()).hexdigest()[:16],
        "weights": sum(float(tensor.double().abs().sum()) for tensor in state.values()),
    }
    for stage in make_scheduler(recipe, registry).stages(recipe.learning):
        for role, translator in assembly.translators.items():
            translator.train(role in stage.roles)
        plan = assembly.plan(stage.name, stage.roles)
        groups = batch(recipe, assembly, plan)
        optimizers = {
            role: Optimizers(assembly.translators[role], assembly.optimizers[role], stage.name) for role in stage.roles
        }
        updater = Updater(assembly.translators, optimizers, plan, recipe.training, nullcontext)
        found[stage.name] = []
        for number in range(2):
            torch.manual_seed(100 + number)
            moment = Moment(stage.name, 0, stage.epochs, number)
            changed = assembly.transformed(groups, moment)
            found[stage.name].append(updater.step([changed], dict.fromkeys(stage.roles, 1.0), moment))
    return found
