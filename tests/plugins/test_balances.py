"""GradNorm, learned uncertainty and equal gradients, against their equations."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from gantk import GantkError
from gantk.plugins import Registry
from gantk_baselines.balances import GradientRatio, Uncertainty


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


def two(strong: float) -> tuple[dict[str, Tensor], Any]:
    """Two losses of one output, whose gradients have the norms 1 and `strong`, and the view of it."""
    output = torch.full((4,), 2.0, dtype=torch.float64, requires_grad=True)
    return {"a": output.sum() / 2, "b": strong * output.sum() / 2}, SimpleNamespace(output=output)


def test_uncertainty_is_the_sum_with_learned_weights() -> None:
    balance = Uncertainty(("a", "b")).double()
    balance.log_variances.data = torch.tensor([0.5, -1.0], dtype=torch.float64)
    losses, view = two(3.0)
    expected = math.exp(-0.5) * 4 + 0.5 + math.exp(1.0) * 12 - 1.0
    assert balance(losses, view).item() == pytest.approx(expected, rel=1e-6)
    alone = balance({"b": losses["b"]}, view).item()
    assert alone == pytest.approx(math.exp(1.0) * 12 - 1.0), "a term that is switched off takes its weight with it"


@pytest.mark.parametrize(("limit", "factor"), [(10.0, 4.0), (2.5, 2.5)])
def test_a_weaker_term_is_raised_to_the_references_gradient_up_to_a_limit(limit: float, factor: float) -> None:
    losses, view = two(0.25)
    total = GradientRatio(("a", "b"), "a", limit)(losses, view)
    assert total.item() == pytest.approx(4 + factor * 1.0, rel=1e-5)
    only = GradientRatio(("a", "b"), "a", limit)({"b": losses["b"]}, view)
    assert only.item() == pytest.approx(1.0), "without the reference nothing is balanced"


def test_a_reference_that_is_no_term_is_named() -> None:
    with pytest.raises(GantkError, match=r"reference: no such term is balanced.*'first'"):
        GradientRatio(("first", "second"), "frist")
