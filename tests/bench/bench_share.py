"""The networks' share of the time of a recipe's step: `python tests/bench/bench_share.py RECIPE [a.b=1 ...]`.

Records every call of a network in one step of each stage and repeats these calls alone, forward and, where the step
learns through them, backward. Printed are the processor's times of both, in turns, and their ratio: what is missing to
1 is losses, weight maps, optimizers and the core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench_step import group
from gantk.api.checks import build
from gantk.plugins import load_plugins
from gantk.recipe import load_recipe
from gantk.training.device import autocasting, computing
from gantk.training.state import TrainingState
from gantk.training.update import Updater
from gantk.translation import Translation
from timing import Spread, in_turns

ROUNDS, STEPS = 7, 3


class Call(NamedTuple):
    """One call of a network: its inputs, and the parameters that the step trained through it."""

    module: nn.Module
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    learning: list[nn.Parameter]
    grad: bool

    def repeat(self) -> None:
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        for parameter in self.learning:
            parameter.requires_grad_(True)
        first, *rest = self.arguments
        first = {k: leaf(v) for k, v in first.items()} if isinstance(first, dict) else leaf(first)
        with torch.set_grad_enabled(self.grad):
            made = [tensor for tensor in tensors(self.module(first, *rest, **self.named)) if tensor.requires_grad]
        wanted = [*self.learning, *(tensor for tensor in tensors(first) if tensor.requires_grad)] if self.grad else []
        if made and wanted:
            torch.autograd.grad(made, wanted, [torch.ones_like(tensor) for tensor in made], allow_unused=True)


def leaf(tensor: Tensor) -> Tensor:
    """A copy that is a leaf; it requires a gradient if the tensor was part of a graph."""
    return tensor.detach().requires_grad_(tensor.requires_grad)


def tensors(found: Any) -> Iterator[Tensor]:
    """The tensors in a network's answer."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, Translation):
        yield from tensors([found.output, found.features])
    elif isinstance(found, dict):
        yield from tensors(list(found.values()))
    elif isinstance(found, list | tuple):
        for one in found:
            yield from tensors(one)


@contextmanager
def recorded(modules: list[nn.Module]) -> Iterator[list[Call]]:
    """The calls of these networks within the context."""
    calls: list[Call] = []

    def record(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        grad = torch.is_grad_enabled()
        learning = [p for p in module.parameters() if p.requires_grad and grad]
        calls.append(Call(module, arguments, named, learning, grad))

    hooks = [module.register_forward_pre_hook(record, with_kwargs=True) for module in modules]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def main(path: str, overrides: list[str]) -> None:
    recipe = load_recipe(path, overrides)
    assembly, scheduler = build(recipe, load_plugins().registry)
    device = torch.device("cpu")
    state = TrainingState(recipe, assembly, scheduler, device)
    autocast = autocasting(device, recipe.run.precision)
    batch = {name: group(recipe, size, name != "unpaired") for name, size in recipe.data.batch.items()}
    networks = [
        module
        for translator in state.translators.values()
        for _, modules in translator.parts()
        for module in (modules.values() if isinstance(modules, nn.ModuleDict) else [modules])
    ]
    for stage in scheduler.stages(list(state.translators)):
        plan = assembly.plan(stage.name, stage.roles)
        updater = Updater(state.translators, state.optimizers, plan, recipe.training, autocast, scalers=state.scalers)
        weights = dict.fromkeys(stage.roles, 1.0)

        def step(updater: Updater = updater, weights: dict[str, float] = weights) -> None:
            for _ in range(STEPS):
                updater.step([batch], weights)

        with computing(device, recipe.run):
            step()
            with recorded(networks) as calls:
                updater.step([batch], weights)

            def alone(calls: list[Call] = calls) -> None:
                before = {p: p.requires_grad for module in networks for p in module.parameters()}
                for _ in range(STEPS):
                    for call in calls:
                        with autocast():
                            call.repeat()
                for parameter, learns in before.items():
                    parameter.requires_grad_(learns)

            alone()
            spent = in_turns({"step": step, "networks": alone}, ROUNDS)
        ratios = [own.cpu / all_.cpu for own, all_ in zip(spent["networks"], spent["step"], strict=True)]
        seconds = Spread.of([s.cpu for s in spent["step"]]).median / STEPS
        print(f"{stage.name}: {len(calls)} calls, {seconds:.3f} s/step, networks alone ÷ step {Spread.of(ratios)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
