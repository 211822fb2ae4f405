"""The engine: stages, epochs and steps, with validation, history and checkpoints between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from gantk.data.batch import Batch
from gantk.data.loader import Loader
from gantk.data.sampler import Hardness
from gantk.errors import Interrupted, NonFiniteError, PluginError, RecipeError, nearest
from gantk.names import check_name
from gantk.recipe.model import Recipe
from gantk.runs.names import CHECKPOINTS
from gantk.training.best import Best
from gantk.training.checkpoint import list_checkpoints, save_checkpoint
from gantk.training.control import Control
from gantk.training.device import autocasting
from gantk.training.history import History
from gantk.training.scheduler import Stage
from gantk.training.state import Position, TrainingState
from gantk.training.update import Losses, Updater
from gantk.training.world import World
from gantk.translation import Moment, StagePlan
from gantk.translation.kept import Kept, Pictures
from gantk.translation.seeds import seed_of


class Observer:
    """Receives the events of a training, and does nothing; subclasses pass them to display, journal and tracking.

    It must not change the networks.
    """

    def stage_begins(self, stage: Stage, index: int, of: int, steps_per_epoch: int, position: Position) -> None:
        """A stage begins, or goes on after a resume."""

    def step_done(
        self, stage: Stage, position: Position, losses: Losses, rates: Mapping[str, float], seconds: float
    ) -> None:
        """A step was done; `position` is that of the step."""

    def pictured(self, position: Position, pictures: Pictures) -> None:
        """Terms kept images of a step; `position` is that of the step."""

    def epoch_done(self, stage: Stage, position: Position, metrics: Mapping[str, float]) -> None:
        """An epoch and its validation were done; `position` is that of the epoch's last step."""

    def epoch_saved(
        self, stage: Stage, position: Position, metrics: Mapping[str, float], generators: Mapping[str, nn.Module]
    ) -> None:
        """The epoch's checkpoint is written; the generators of each role may be used but not changed."""

    def note(self, text: str) -> None:
        """A note for the user."""


Validate = Callable[[StagePlan, Position], Mapping[str, float]]


class Engine:
    """Trains a state to the end of its schedule.

    Args:
        recipe: the recipe.
        state: networks, optimizers, scheduler and position; changed in place.
        loader: provides the batches.
        folder: the run's folder; `checkpoints/` and `history/` are written below it.
        facts: the data that checkpoints hold besides the state.
        observer: receives all events.
        validate: returns validation metrics (`ROLE/METRIC`) after an epoch.
        stopping: asked after each step whether to save and stop.
        best: keeps the checkpoint of the best epoch.
        world: the processes that train together; by default only this one.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: TrainingState,
        loader: Loader,
        folder: Path,
        facts: Mapping[str, Any],
        observer: Observer,
        validate: Validate,
        stopping: Callable[[], bool] = lambda: False,
        best: Best | None = None,
        world: World | None = None,
    ) -> None:
        self.recipe = recipe
        self.state = state
        self.loader = loader
        self.checkpoints = folder / CHECKPOINTS
        self.history = History(folder / "history")
        self.facts = facts
        self.observer = observer
        self.validate = validate
        self.world = world or World()
        self._asked = stopping
        self.best = best
        self.stages = check_stages(recipe, state.scheduler.stages(recipe.learning))
        self.autocast = autocasting(state.device, recipe.run.precision)
        self._buffers = [buffer for translator in state.translators.values() for buffer in translator.buffers()]

    def run(self) -> None:
        """Train from the state's position to the end.

        Raises:
            Interrupted: `stopping` said so; the state is saved.
            NonFiniteError: a term or gradient became NaN or infinite.
        """
        while self.state.position.stage < len(self.stages):
            self._stage(self.state.position.stage)
        if self.world.first:
            self.history.clear()

    def steps_per_epoch(self, stage: Stage) -> int:
        """Steps in an epoch of a stage: enough to draw all samples of the largest group, unless the recipe says it."""
        batches = self.loader.steps(self.state.assembly.plan(stage.name, stage.roles).groups)
        return self.recipe.steps_of(batches)

    def _stage(self, index: int) -> None:
        state, stage = self.state, self.stages[index]
        plan = state.assembly.plan(stage.name, stage.roles)
        if state.position.begins_stage:
            state.scheduler.before_stage(stage, self._control())
            state.optimizers = state.fresh_optimizers()
        steps = self.steps_per_epoch(stage)
        updater = Updater(
            state.translators, state.optimizers, plan, self.recipe.training, self.autocast, self.world, state.scalers
        )
        self.observer.stage_begins(stage, index, len(self.stages), steps, state.position)
        while state.position.stage == index:
            last, metrics = self._epoch(stage, plan, updater, steps)
            self._save()
            self._tell(stage, last, metrics)
            if self.stopping():
                raise _stopped()

    def _tell(self, stage: Stage, position: Position, metrics: Mapping[str, float]) -> None:
        """Show an epoch's networks to the observer, which must not change them."""
        before = [tensor._version for tensor in self.state.tensors().values()]
        generators = {role: self.state.generator(role) for role in self.state.translators}
        self.observer.epoch_saved(stage, position, metrics, MappingProxyType(generators))
        if before != [tensor._version for tensor in self.state.tensors().values()]:
            raise PluginError(
                "a plugin's hook after_epoch changed the networks",
                why="a run that is resumed from the checkpoint would continue differently",
                mend="change a copy in the hook: copy.deepcopy(generator)",
            )

    def _epoch(
        self, stage: Stage, plan: StagePlan, updater: Updater, steps: int
    ) -> tuple[Position, Mapping[str, float]]:
        """Train one epoch, or the rest of it, and advance the position; returns its last step and metrics."""
        state, scheduler = self.state, self.state.scheduler
        epoch, first = state.position.epoch, state.position.step
        weights = {role: scheduler.weight(stage, role, epoch) for role in stage.roles}
        for role, translator in state.translators.items():
            translator.train(role in stage.roles)  # untrained roles run in evaluation mode
        if state.hardness is not None and not first:
            state.hardness.begin_epoch()
        pending: list[Batch] = []
        accumulate = self.recipe.training.accumulate
        began = time.perf_counter()
        drawn = plan.groups, state.position.stage, epoch, first * accumulate, steps * accumulate
        batches = self.loader.prefetch(*drawn, pinned=state.device.type == "cuda")
        for _, batch in batches:
            position = state.position
            if not pending:
                torch.manual_seed(seed_of(self.recipe.run.seed, position.total))
            moved = {name: group.to(state.device) for name, group in batch.items()}
            moment = Moment(stage.name, epoch, stage.epochs, position.total)
            pending.append(self.world.share(state.assembly.transformed(moved, moment)))
            if len(pending) < accumulate:
                continue
            rates = self._set_rates(stage, epoch * steps + position.step, steps)
            due = position.step + 1 == steps and self.recipe.training.panel_due(epoch)
            kept = Kept({} if due and self.world.first else None, None if state.hardness is None else [])
            try:
                losses = updater.step(pending, weights, moment, kept)
            except NonFiniteError as error:
                raise self._located(error, stage, position) from None
            pending = []
            self.world.align(self._buffers)
            state.follow(stage.roles)
            state.position = replace(position, step=position.step + 1, total=position.total + 1)
            now = time.perf_counter()
            self.observer.step_done(stage, position, losses, rates, now - began)
            if kept.pictures:
                self.observer.pictured(position, kept.pictures)
            if state.hardness is not None:
                self._rate(state.hardness, kept)
            began = now
            if state.position.step == steps:
                break  # the epoch's end has a checkpoint of its own
            every = self.recipe.training.checkpoint_every
            stopping = self.stopping()
            if stopping or (every is not None and state.position.total % every == 0):
                self._check_weights(stage, position)
                self._save()
            if stopping:
                raise _stopped()
        for name in sorted(updater.idle if epoch == 0 else ()):
            role, _, part = name.partition("/")
            self.observer.note(f"The {part} of {role!r} learns nothing in stage {stage.name!r}: no term asks for it")
        last = replace(state.position, step=steps - 1, total=state.position.total - 1)
        self._check_weights(stage, last)
        metrics = self._validate(stage, plan, last)
        if self.world.first:
            self.history.record(stage, epoch, state.translators)
        control = self._control()
        ended = scheduler.after_epoch(stage, epoch, metrics, control)
        self.observer.epoch_done(stage, last, metrics)
        index, total = state.position.stage, state.position.total
        over = ended or control.stops or epoch + 1 == stage.epochs
        following = len(self.stages) if control.stops else index + 1
        state.position = Position(following, 0, 0, total) if over else Position(index, epoch + 1, 0, total)
        if self.best is not None and self.world.first:
            self.best.keep(state, metrics, self.facts)
        return last, metrics

    def _set_rates(self, stage: Stage, step: int, steps: int) -> dict[str, float]:
        """Set the learning rates of a step of the stage; the rates by `ROLE/PART`."""
        rates: dict[str, float] = {}
        for role in stage.roles:
            optimizers = self.state.optimizers[role]
            found = self.state.scheduler.step_rate
            optimizers.set_rates({part: found(stage, role, part, step, steps) for part in optimizers.rates})
            rates |= {f"{role}/{part}": rate for part, rate in optimizers.rates.items()}
        return rates

    def _rate(self, hardness: Hardness, kept: Kept) -> None:
        """Record how hard the slices of a step were, in all processes alike."""
        own = [(subjects, slices, errors.tolist()) for subjects, slices, errors in kept.ratings or ()]
        for subjects, slices, values in (one for found in self.world.gather(own) for one in found):
            hardness.rate(subjects, slices, values)

    def _control(self) -> Control:
        return Control(self.state, self.history, self.world, self.observer.note)

    def _validate(self, stage: Stage, plan: StagePlan, position: Position) -> Mapping[str, float]:
        due = (position.epoch + 1) % self.recipe.training.validate_every == 0 or position.epoch + 1 == stage.epochs
        return self.validate(plan, position) if due else {}

    def stopping(self) -> bool:
        """Whether any process is asked to save and stop."""
        return self.world.any(self._asked())

    def _save(self) -> None:
        if self.world.first:
            save_checkpoint(self.checkpoints, self.state, self.facts, self.recipe.training.keep_checkpoints)

    def _check_weights(self, stage: Stage, position: Position) -> None:
        """A loss can be finite where its gradient is not: such weights must not get into a checkpoint."""
        tensors = {name: tensor for name, tensor in self.state.tensors().items() if tensor.is_floating_point()}
        if all(norm.isfinite() for norm in torch._foreach_norm(list(tensors.values()))):
            return
        name = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
        if name is not None:
            role, _, part = name.partition(".")
            error = NonFiniteError(f"the weights {part!r} of {role!r} became NaN or infinite")
            raise self._located(error, stage, position)

    def _located(self, error: NonFiniteError, stage: Stage, position: Position) -> NonFiniteError:
        good = list_checkpoints(self.checkpoints)
        mend = f"the last good checkpoint is {good[-1]}" if good else "no checkpoint was written yet"
        return NonFiniteError(
            f"{error.what} in stage {stage.name!r}, epoch {position.epoch}, step {position.total}",
            why=error.why,
            mend=f"{mend}; lower the learning rates or set training.clip_gradients",
        )


def _stopped() -> Interrupted:
    return Interrupted("the run was interrupted and its state is saved", mend="continue with --resume")


def check_stages(recipe: Recipe, stages: Sequence[Stage]) -> list[Stage]:
    """The stages, with every `stages = [...]` of the recipe checked against them.

    Raises:
        RecipeError: a stage has no epoch, or a transform, map or term names a stage that the scheduler does not have.
    """
    names = [stage.name for stage in stages]
    for stage in stages:
        try:
            check_name(stage.name)
        except ValueError as error:
            raise RecipeError(
                f"a stage cannot be called {stage.name!r}", where="schedule", why=error, mend="mend the scheduler"
            ) from None
        if stage.epochs < 1:
            raise RecipeError(
                f"the stage {stage.name!r} has {stage.epochs} epochs", where="schedule", mend="give it at least one"
            )
    for table in ("transforms", "maps", "losses"):
        for name, settings in getattr(recipe, table).items():
            _check_known(settings.stages, names, f"{table}.{name}.stages")
    for role, translator in recipe.translators.items():
        for number, group in enumerate(translator.optimizer.groups):
            _check_known(group.stages, names, f"translators.{role}.optimizer.groups.{number}.stages")
    return list(stages)


def _check_known(wanted: Sequence[str] | None, names: Sequence[str], where: str) -> None:
    for name in wanted or ():
        if name not in names:
            raise RecipeError(f"the scheduler has no stage {name!r}", where=where, mend=nearest(name, names))
