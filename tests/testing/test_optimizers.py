"""Mistakes that authors of optimizers make are found, and named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch.optim import Optimizer

import gantk.testing
from mistakes import failure


class Descent(Optimizer):
    """Steps against the gradient with momentum."""

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def rate(self, group: dict[str, Any]) -> float:
        return group["lr"]

    def kept(self, weight: torch.Tensor) -> dict[str, Any]:
        return self.state[weight]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.kept(weight)
                state["speed"] = group["momentum"] * state.get("speed", 0) + weight.grad
                weight -= self.rate(group) * state["speed"]


class OneRate(Descent):
    """An optimizer that uses only the first group's rate."""

    def rate(self, group: dict[str, Any]) -> float:
        return self.param_groups[0]["lr"]


class Floor(Descent):
    """An optimizer that moves weights even at a rate of 0."""

    def rate(self, group: dict[str, Any]) -> float:
        return max(group["lr"], 1e-4)


class Uphill(Descent):
    """An optimizer that increases the loss."""

    def rate(self, group: dict[str, Any]) -> float:
        return -group["lr"]


class Forgetful(Descent):
    """An optimizer with state outside of checkpoints."""

    def __init__(self, params: Iterable[Any], lr: float) -> None:
        super().__init__(params, lr)
        self.mine: dict[int, dict[str, Any]] = {}

    def kept(self, weight: torch.Tensor) -> dict[str, Any]:
        return self.mine.setdefault(id(weight), {})


def test_a_right_one_passes() -> None:
    cls = type("TestIt", (gantk.testing.OptimizerConformance,), {"component": Descent})
    for name in ("signature", "descends", "resume", "rate_of_zero"):
        getattr(cls(), f"test_{name}")()


@pytest.mark.parametrize(
    ("cls", "test", "words"),
    [
        (OneRate, "descends", "with a tenth of the rate a weight moves by"),
        (Uphill, "descends", "go against the gradient"),
        (Forgetful, "resume", "after its state is loaded it steps otherwise"),
        (Floor, "rate_of_zero", "a weight moves at a rate of 0"),
    ],
)
def test_wrong_optimizers(cls: type, test: str, words: str) -> None:
    assert words in failure(cls, "optimizer", test)
