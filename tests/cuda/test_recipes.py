"""Every shipped recipe on a GPU: a few steps in each precision, the CPU's numbers, and memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gantk.api.checks import make_scheduler
from gantk.plugins import Registry
from gantk.recipe import Recipe, load_recipe
from gantk.recipe.variants import is_sweep
from gantk.training.device import autocasting, computing
from gantk.training.state import TrainingState
from gantk.training.update import Updater
from gantk.translation import assemble
from small_recipes import batch, small

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = [path.relative_to(RECIPES).as_posix() for path in sorted(RECIPES.rglob("*.toml")) if not is_sweep(path)]
CPU = torch.device("cpu")


def state_of(name: str, registry: Registry, device: torch.device, precision: str = "fp32") -> TrainingState:
    recipe = small(load_recipe(RECIPES / name, [f"run.precision={precision}"]))
    assembly = assemble(recipe, registry, 3 if recipe.data.dataset == "images" else 1)
    return TrainingState(recipe, assembly, make_scheduler(recipe, registry), device)


def updaters(state: TrainingState) -> Iterator[tuple[str, Updater, dict[str, Any]]]:
    """By stage: the updater, and a batch."""
    recipe: Recipe = state.recipe
    autocast = autocasting(state.device, recipe.run.precision)
    for stage in state.scheduler.stages(recipe.learning):
        plan = state.assembly.plan(stage.name, stage.roles)
        updater = Updater(state.translators, state.optimizers, plan, recipe.training, autocast, scalers=state.scalers)
        groups = batch(recipe, state.assembly, plan)
        yield stage.name, updater, {name: group.to(state.device) for name, group in groups.items()}


def step(updater: Updater, groups: dict[str, Any], seed: int = 0) -> dict[str, float]:
    torch.manual_seed(seed)
    batches = [groups] * updater.settings.accumulate
    return updater.step(batches, dict.fromkeys(updater.plan.roles, 1.0))


def first_steps(name: str, registry: Registry, device: torch.device, seed: int = 0) -> tuple[dict[str, float], Tensor]:
    """The values of the first step of every stage, each from the first weights, and those of the generators."""
    values: dict[str, float] = {}
    state = state_of(name, registry, device)
    for stage, updater, groups in updaters(state):
        values |= {f"{stage}: {term}": value for term, value in step(updater, groups, seed).items()}
    weights = [p.detach().flatten().cpu() for t in state.translators.values() for p in t.generator.parameters()]
    return values, torch.cat(weights)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps(name: str, precision: str, registry: Registry, device: torch.device) -> None:
    state = state_of(name, registry, device, precision)
    before = {key: tensor.clone() for key, tensor in state.tensors().items()}
    for _, updater, groups in updaters(state):
        for seed in range(3):
            assert step(updater, groups, seed)  # raises where a value is not finite
    after = state.tensors()
    assert all(tensor.device.type == device.type for tensor in after.values())
    assert all(tensor.isfinite().all() for tensor in after.values() if tensor.is_floating_point())
    assert any(not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_step_is_the_cpus(name: str, registry: Registry, device: torch.device) -> None:
    """Equal up to 1e-3, relative; random numbers of the device, as in dropout, are excluded, because they differ."""
    theirs, _ = first_steps(name, registry, CPU)
    others, _ = first_steps(name, registry, CPU, seed=1)
    with computing(device, load_recipe(RECIPES / name).run):
        ours, _ = first_steps(name, registry, device)
    assert ours.keys() == theirs.keys()
    fixed = [term for term in theirs if theirs[term] == others[term]]
    for term in fixed:
        assert ours[term] == pytest.approx(theirs[term], rel=1e-3, abs=1e-5), term


@pytest.mark.parametrize("name", ["pix2pix.toml", "cut.toml"])
def test_compiled_networks_give_the_same_losses(name: str, registry: Registry, device: torch.device) -> None:
    def losses(compiled: bool) -> list[dict[str, float]]:
        recipe = small(load_recipe(RECIPES / name, [f"training.compile={str(compiled).lower()}"]))
        state = TrainingState(recipe, assemble(recipe, registry), make_scheduler(recipe, registry), device)
        return [step(updater, groups) for _, updater, groups in updaters(state)]

    with computing(device, load_recipe(RECIPES / name).run):
        for ours, theirs in zip(losses(True), losses(False), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-2)


@pytest.mark.parametrize("name", ["ds3_semi.toml", "cut.toml", "cyclegan.toml"])
def test_memory_does_not_grow(name: str, registry: Registry, device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("a CPU does not count its tensors")
    state = state_of(name, registry, device)
    *_, (_, updater, groups) = updaters(state)
    held = []
    for number in range(500):
        step(updater, groups, number)
        if number in (20, 499):
            torch.cuda.synchronize()
            held.append(torch.cuda.memory_allocated(device))
    assert held[1] <= held[0] * 1.01
