"""The hooks that a plugin may implement: specifications and nothing else.

An implementation is a function with the hook's name, marked `@gantk.hookimpl`, at the top level of the module that
the distribution's entry point in the group `gantk` names. It may take any subset of the hook's arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from gantk.recipe.model import Recipe

hookspec = pluggy.HookspecMarker("gantk")
hookimpl = pluggy.HookimplMarker("gantk")
"""Marks a function of a plugin as the implementation of the hook of that name."""

Classes = Mapping[str, type]


@hookspec
def register_generators() -> Classes:  # type: ignore[empty-body]
    """Generators by name: `torch.nn.Module` classes that translate `(B, in_channels, H, W)` images."""


@hookspec
def register_discriminators() -> Classes:  # type: ignore[empty-body]
    """Discriminators by name: `torch.nn.Module` classes that map `(B, in_channels, H, W)` to scores `(B, K, h, w)`."""


@hookspec
def register_losses() -> Classes:  # type: ignore[empty-body]
    """Losses by name: classes whose instances are called with a `gantk.View` and return a scalar tensor."""


@hookspec
def register_weight_maps() -> Classes:  # type: ignore[empty-body]
    """Weight maps by name: classes whose instances turn a `gantk.View` into weights `(B, 1, H, W)`, at least 0."""


@hookspec
def register_weight_schedules() -> Classes:  # type: ignore[empty-body]
    """Weight schedules by name: classes whose instances turn a `gantk.Moment` into the weight of a term."""


@hookspec
def register_augmentations() -> Classes:  # type: ignore[empty-body]
    """Augmentations by name: `torch.nn.Module` classes that change the discriminators' images."""


@hookspec
def register_balances() -> Classes:  # type: ignore[empty-body]
    """Balances by name: `torch.nn.Module` classes that combine the losses of several terms; see `gantk.Balance`."""


@hookspec
def register_transforms() -> Classes:  # type: ignore[empty-body]
    """Transforms by name: classes whose instances turn a `gantk.Group` and a `gantk.Moment` into a group."""


@hookspec
def register_samplers() -> Classes:  # type: ignore[empty-body]
    """Samplers by name: classes whose instances weigh the slices of a batch group (`gantk.Candidates`)."""


@hookspec
def register_schedulers() -> Classes:  # type: ignore[empty-body]
    """Training schedulers by name: subclasses of `gantk.Scheduler`."""


@hookspec
def register_optimizers() -> Classes:  # type: ignore[empty-body]
    """Optimizers by name: classes derived from `torch.optim.Optimizer`, given parameter groups as `params`."""


@hookspec
def register_datasets() -> Classes:  # type: ignore[empty-body]
    """Datasets by name: classes that list subjects and read their volumes."""


@hookspec
def register_metrics() -> Classes:  # type: ignore[empty-body]
    """Metrics by name: classes whose instances score `(prediction, target, mask)`, one value per image."""


@hookspec
def register_launchers() -> Classes:  # type: ignore[empty-body]
    """Launchers by name: classes that start the runs of a sweep."""


@hookspec
def before_run(folder: Path, recipe: Recipe) -> None:
    """Called when a run begins or resumes, before its first step. The return value is ignored."""


@hookspec
def before_stage(folder: Path, recipe: Recipe, stage: str) -> None:
    """Called before the first step of a stage (again after a resume inside it). The return value is ignored."""


@hookspec
def after_step(folder: Path, recipe: Recipe, stage: str, epoch: int, step: int, losses: Mapping[str, float]) -> None:
    """Called after every step, counted over the run from 0, with its losses. The return value is ignored."""


@hookspec
def after_epoch(
    folder: Path,
    recipe: Recipe,
    stage: str,
    epoch: int,
    metrics: Mapping[str, float],
    generators: Mapping[str, nn.Module],
) -> None:
    """Called after an epoch, its validation and its checkpoint, with the generator of each role (its average, if there
    is one). Hooks must not change generators; a change ends the run. The return value is ignored."""


@hookspec
def after_run(folder: Path, recipe: Recipe, summary: Mapping[str, object]) -> None:
    """Called after training and evaluation, with the evaluation's summary. The return value is ignored."""


@hookspec
def on_run_error(folder: Path, recipe: Recipe, error: BaseException) -> None:
    """Called when a run fails or is interrupted; the error is raised afterwards. The return value is ignored."""
