"""Schedules of the learning rate and of successive phases, computed by timm where possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import torch
from pydantic import ConfigDict

from gantk import Control, Count, Fraction, MetricName, NonNegative, RecipeError, Role, Scheduler, Stage, Whole

__all__ = ["Constant", "Copy", "Cosine", "EarlyStop", "LinearDecay", "Phase", "Phases", "Warmup"]


def _linear_decay(epoch: int, epochs: int, decay_epochs: int) -> float:
    """The factor 1, which falls linearly towards 0 in the last epochs: 1 − max(0, e + 1 − n)/(n_decay + 1)."""
    return 1 - max(0, epoch + 1 - (epochs - decay_epochs)) / (decay_epochs + 1)


@lru_cache(maxsize=1024)  # asked in every step
def _factor(kind: Literal["CosineLRScheduler", "StepLRScheduler"], epoch: int, **settings: Any) -> float:
    """A timm schedule's rate in an epoch, for a base rate of 1; timm's schedules depend only on the epoch."""
    import timm.scheduler  # takes seconds

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    getattr(timm.scheduler, kind)(optimizer, **settings).step(epoch)
    return float(optimizer.param_groups[0]["lr"])


class Constant(Scheduler):
    """One stage of constant rates.

    Args:
        epochs: number of epochs.
    """


class LinearDecay(Scheduler):
    """Constant rates, then a linear decay towards 0 (CycleGAN's code): 1 − max(0, e + 1 − n)/(n_decay + 1).

    Args:
        epochs: total number of epochs.
        decay_epochs: number of epochs with decay, at the end; default: half.
    """

    def __init__(self, epochs: Count = 200, decay_epochs: Whole | None = None) -> None:
        super().__init__(epochs)
        self.decay_epochs = epochs // 2 if decay_epochs is None else decay_epochs

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        return _linear_decay(epoch, self.epochs, self.decay_epochs)


class Cosine(Scheduler):
    """Cosine decay, after an optional linear warm-up (timm's CosineLRScheduler).

    Args:
        epochs: total number of epochs.
        warmup_epochs: epochs of rising rates at the beginning.
        warmup_start: factor on the rates in epoch 0 of the warm-up.
        floor: factor on the rates at the end of the cosine.
    """

    def __init__(
        self, epochs: Count = 100, warmup_epochs: Whole = 0, warmup_start: Fraction = 0.01, floor: Fraction = 0.0
    ) -> None:
        super().__init__(epochs)
        self.warmup_epochs = warmup_epochs
        self.warmup_start = warmup_start
        self.floor = floor

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        return _factor(
            "CosineLRScheduler",
            epoch,
            t_initial=self.epochs,
            lr_min=self.floor,
            warmup_t=self.warmup_epochs,
            warmup_lr_init=self.warmup_start,
        )


class Warmup(Scheduler):
    """A linear warm-up by epoch (timm's StepLRScheduler without decay) or by step, then constant rates.

    Args:
        epochs: total number of epochs.
        warmup_epochs: epochs of rising rates at the beginning.
        warmup_start: factor on the rates in the first epoch or step.
        warmup_steps: steps of rising rates at the beginning of each stage, instead of epochs.
    """

    def __init__(
        self,
        epochs: Count = 100,
        warmup_epochs: Whole = 5,
        warmup_start: Fraction = 0.01,
        warmup_steps: Count | None = None,
    ) -> None:
        super().__init__(epochs)
        self.warmup_epochs = warmup_epochs
        self.warmup_start = warmup_start
        self.warmup_steps = warmup_steps

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        return _factor(
            "StepLRScheduler",
            epoch,
            decay_t=self.epochs,
            decay_rate=1.0,
            warmup_t=self.warmup_epochs,
            warmup_lr_init=self.warmup_start,
        )

    def step_rate(self, stage: Stage, role: str, part: str, step: int, steps: int) -> float:
        if self.warmup_steps is None:
            return self.rate(stage, role, part, step // steps)
        return self.warmup_start + (1 - self.warmup_start) * min(1.0, step / self.warmup_steps)


@dataclass(frozen=True)
class Copy:
    """Weights that are copied before a phase.

    Args:
        source: the role to copy from.
        target: the role to copy to.
        parts: the parts to copy: "generator", "heads", "discriminator".
        into: the submodule of the target's part to copy to (`streams.0`); empty for the whole part.
        shared: copy only the weights that have the same name and shape in both.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    source: Role
    target: Role
    parts: tuple[Literal["generator", "heads", "discriminator"], ...] = ("generator",)
    into: str = ""
    shared: bool = False


@dataclass(frozen=True)
class Phase:
    """One phase of a training.

    Args:
        name: the name for the `stages` of losses and maps.
        roles: the translators that it trains; the others do not change.
        epochs: number of epochs.
        decay_epochs: number of epochs with linear decay towards 0, at the end.
        copies: weights that are copied before its first step.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    roles: tuple[Role, ...]
    epochs: Count
    decay_epochs: Whole = 0
    copies: tuple[Copy, ...] = ()


class Phases(Scheduler):
    """Successive phases, each with its own roles, constant rates with a decay at the end, and copied weights.

    Args:
        phases: the phases, `[[schedule.phases]]` in a recipe.

    Raises:
        RecipeError: there is no phase, two have the same name, or one decays longer than it lasts.
    """

    def __init__(self, phases: tuple[Phase, ...]) -> None:
        super().__init__(sum(phase.epochs for phase in phases))
        self.phases = {phase.name: phase for phase in phases}
        if not phases:
            raise RecipeError("the schedule has no phase", where="schedule.phases", mend="write [[schedule.phases]]")
        if len(self.phases) < len(phases):
            raise RecipeError("two phases have the same name", where="schedule.phases", mend="rename one of them")
        for phase in phases:
            if not 0 <= phase.decay_epochs <= phase.epochs:
                raise RecipeError(
                    f"the phase {phase.name!r} has {phase.epochs} epochs, but decay_epochs is {phase.decay_epochs}",
                    where="schedule.phases",
                    mend="set decay_epochs to at most epochs",
                )

    def stages(self, roles: Sequence[str]) -> list[Stage]:
        return [Stage(phase.name, phase.epochs, phase.roles) for phase in self.phases.values()]

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        phase = self.phases[stage.name]
        return _linear_decay(epoch, phase.epochs, phase.decay_epochs)

    def before_stage(self, stage: Stage, control: Control) -> None:
        for copy in self.phases[stage.name].copies:
            control.copy(copy.source, copy.target, copy.parts, into=copy.into, shared=copy.shared)


class EarlyStop(Scheduler):
    """Ends a stage when a validation metric has not improved for some epochs; use it in `[[schedule.also]]`.

    Epochs without the metric, because the stage does not train the role or no validation is due, do not end the stage.

    Args:
        metric: the validation metric.
        role: the role of the metric.
        better: whether higher or lower values of the metric are better.
        patience: epochs without improvement after which the stage ends.
        min_delta: smallest change that counts as an improvement.
        epochs: length of the single stage, if this is the schedule itself.
    """

    def __init__(
        self,
        metric: MetricName,
        role: Role,
        better: Literal["higher", "lower"] = "higher",
        patience: Count = 10,
        min_delta: NonNegative = 0.0,
        epochs: Count = 100,
    ) -> None:
        super().__init__(epochs)
        self.metric, self.role, self.better = metric, role, better
        self.patience, self.min_delta = patience, min_delta
        self.best: float | None = None
        self.best_epoch = 0

    def before_stage(self, stage: Stage, control: Control) -> None:
        self.best, self.best_epoch = None, 0

    def after_epoch(self, stage: Stage, epoch: int, metrics: Mapping[str, float], control: Control) -> bool:
        value = metrics.get(f"{self.role}/{self.metric}")
        if value is None:
            return False
        if self.best is None or self._gain(value, self.best) > self.min_delta:
            self.best, self.best_epoch = value, epoch
        if epoch - self.best_epoch < self.patience or epoch + 1 == stage.epochs:
            return False
        control.note(
            f"{self.role}/{self.metric} was best in epoch {self.best_epoch + 1} of {stage.name!r} ({self.best:.4g}) "
            f"and has not improved for {self.patience} epochs: the stage ends"
        )
        return True

    def _gain(self, value: float, best: float) -> float:
        return value - best if self.better == "higher" else best - value

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self.best_epoch = state["best"], state["best_epoch"]
