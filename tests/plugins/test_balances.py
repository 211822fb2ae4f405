"""GradNorm, learned uncertainty and equal gradients, against their equations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gantk.plugins import Registry


def test_gradnorm_moves_weights_until_gradients_are_alike(registry: Registry) -> None:
    balance = registry.get("balance", "gradnorm").build({"alpha": 1.5}, "balance", terms=("weak", "strong"))
    scale = torch.tensor([1.0, 10.0])
    optimizer = torch.optim.SGD(balance.parameters(), lr=1e-4)
    for step in range(600):
        output = torch.full((4,), 3.0 - 0.0001 * step, requires_grad=True)
        view: Any = SimpleNamespace(output=output)
        losses = {"weak": scale[0] * output.square().mean(), "strong": scale[1] * output.square().mean()}
        before = balance.weights.detach().clone()
        before *= 2 / before.sum()
        optimizer.zero_grad()
        balance(losses, view).backward()
        norms = scale * output.detach().norm() / 2  # of 2·output/4
        # the generator's gradient is that of the weighted losses alone; both terms lag alike, so r = 1
        assert torch.allclose(output.grad, (before * scale).sum() * output.detach() / 2, rtol=1e-5)
        apart = before * norms - (before * norms).mean()
        assert torch.allclose(balance.weights.grad, norms * apart.sign(), rtol=1e-4)
        optimizer.step()
    weights = balance.weights.detach()
    weights *= 2 / weights.sum()
    assert (weights * scale)[0].item() == pytest.approx((weights * scale)[1].item(), rel=0.25)
    assert balance.first.tolist() == pytest.approx([9.0, 90.0])


def test_gradnorm_gives_more_to_a_term_that_lags(registry: Registry) -> None:
    balance = registry.get("balance", "gradnorm").build({"alpha": 2.0}, "balance", terms=("slow", "fast"))
    for value in (1.0, 0.5):
        output = torch.ones(4, requires_grad=True)
        view: Any = SimpleNamespace(output=output)
        balance.zero_grad()
        balance({"slow": output.mean(), "fast": value * output.mean()}, view).backward()
    # r = 1 / 0.75 and 0.5 / 0.75 of the mean strength 0.375: slow's 0.5 is below its 0.667, fast's 0.25 above its 0.167
    assert (balance.weights.grad.sign()).tolist() == [-1, 1]
