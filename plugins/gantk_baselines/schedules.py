"""Single-stage schedules of the learning rate; what timm has is computed by timm."""

from __future__ import annotations

from typing import Any

import torch
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.scheduler.scheduler import Scheduler as TimmScheduler
from timm.scheduler.step_lr import StepLRScheduler

from gantk import Scheduler, Stage

__all__ = ["Constant", "Cosine", "LinearDecay", "Warmup"]


def _factor(kind: type[TimmScheduler], epoch: int, **settings: Any) -> float:
    """A timm schedule's rate in an epoch where the base rate is 1; timm's are functions of the epoch alone."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    kind(optimizer, **settings).step(epoch)
    return float(optimizer.param_groups[0]["lr"])


class Constant(Scheduler):
    """One stage of constant rates.

    Args:
        epochs: its length.
    """


class LinearDecay(Scheduler):
    """Constant rates, then a linear decay towards 0 (CycleGAN's code): 1 − max(0, e + 1 − n)/(n_decay + 1).

    Args:
        epochs: epochs in all.
        decay_epochs: how many of them, at the end, decay; half where absent.
    """

    def __init__(self, epochs: int = 200, decay_epochs: int | None = None) -> None:
        super().__init__(epochs)
        self.decay_epochs = epochs // 2 if decay_epochs is None else decay_epochs

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        constant = self.epochs - self.decay_epochs
        return 1 - max(0, epoch + 1 - constant) / (self.decay_epochs + 1)


class Cosine(Scheduler):
    """Cosine decay, after an optional linear warm-up (timm's CosineLRScheduler).

    Args:
        epochs: epochs in all.
        warmup_epochs: epochs of rising rates at the beginning.
        warmup_start: factor on the rates in epoch 0 of the warm-up.
        floor: factor on the rates that the cosine ends at.
    """

    def __init__(
        self, epochs: int = 100, warmup_epochs: int = 0, warmup_start: float = 0.01, floor: float = 0.0
    ) -> None:
        super().__init__(epochs)
        self.warmup_epochs = warmup_epochs
        self.warmup_start = warmup_start
        self.floor = floor

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        return _factor(
            CosineLRScheduler,
            epoch,
            t_initial=self.epochs,
            lr_min=self.floor,
            warmup_t=self.warmup_epochs,
            warmup_lr_init=self.warmup_start,
        )


class Warmup(Scheduler):
    """A linear warm-up, then constant rates (timm's StepLRScheduler without decay).

    Args:
        epochs: epochs in all.
        warmup_epochs: epochs of rising rates at the beginning.
        warmup_start: factor on the rates in epoch 0.
    """

    def __init__(self, epochs: int = 100, warmup_epochs: int = 5, warmup_start: float = 0.01) -> None:
        super().__init__(epochs)
        self.warmup_epochs = warmup_epochs
        self.warmup_start = warmup_start

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        return _factor(
            StepLRScheduler,
            epoch,
            decay_t=self.epochs,
            decay_rate=1.0,
            warmup_t=self.warmup_epochs,
            warmup_lr_init=self.warmup_start,
        )
