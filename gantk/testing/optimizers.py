"""Conformance of optimizers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gantk.testing.base import Conformance
from gantk.testing.failures import expect

__all__ = ["OptimizerConformance"]


class OptimizerConformance(Conformance):
    """Conformance of an optimizer; see `Conformance` for how to use it."""

    kind = "optimizer"

    def begun(self, rates: tuple[float, float] = (1e-2, 1e-3)) -> tuple[list[nn.Parameter], Optimizer]:
        """Two matrices, each in its own group, and a new instance."""
        torch.manual_seed(0)
        weights = [nn.Parameter(torch.randn(4, 4)) for _ in rates]
        groups = [{"params": [w], "lr": rate, "part": "generator"} for w, rate in zip(weights, rates, strict=True)]
        return weights, self.make(params=groups, lr=rates[0])

    @staticmethod
    def step(weights: list[nn.Parameter], optimizer: Optimizer) -> list[Tensor]:
        """Make a step toward 0; returns how far each matrix moved."""
        before = [weight.detach().clone() for weight in weights]
        optimizer.zero_grad(set_to_none=True)
        torch.stack([weight.square().sum() for weight in weights]).sum().backward()
        optimizer.step()
        return [weight.detach() - was for weight, was in zip(weights, before, strict=True)]

    def test_descends(self) -> None:
        """It lowers a loss, in every group by the group's rate; groups keep the keys that the core adds."""
        weights, optimizer = self.begun()
        mend = "hand `params`, a list of parameter groups, to torch.optim.Optimizer as it is"
        expect(isinstance(optimizer, Optimizer), f"it is a {type(optimizer).__name__}", "derive it from Optimizer")
        first, second = (float(moved.abs().mean()) for moved in self.step(weights, optimizer))
        expect(0 < second < first, f"with a tenth of the rate a weight moves by {second:.3g}, not {first:.3g}", mend)
        expect([group.get("part") for group in optimizer.param_groups] == ["generator"] * 2, "groups have lost", mend)
        start = sum(float(weight.detach().square().sum()) for weight in weights)
        for _ in range(20):
            self.step(weights, optimizer)
        end = sum(float(weight.detach().square().sum()) for weight in weights)
        expect(end < start, f"the loss goes from {start:.4g} to {end:.4g}", "go against the gradient")

    def test_resume(self) -> None:
        """Another instance that loads its state continues the same way."""
        weights, optimizer = self.begun()
        for _ in range(3):
            self.step(weights, optimizer)
        others, other = self.begun()
        for weight, own in zip(weights, others, strict=True):
            own.data.copy_(weight.data)
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        same = all(
            torch.equal(a, b) for a, b in zip(self.step(weights, optimizer), self.step(others, other), strict=True)
        )
        expect(same, "after its state is loaded it steps otherwise", "keep what it remembers in `self.state`")

    def test_rate_of_zero(self) -> None:
        """If a scheduler's factor is 0, no weight changes."""
        weights, optimizer = self.begun((0.0, 1e-2))
        moved = self.step(weights, optimizer)
        expect(not bool(moved[0].any()), "a weight moves at a rate of 0", "multiply each step by the group's `lr`")
