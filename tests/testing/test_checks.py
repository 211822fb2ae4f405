"""Checks of networks and tensors find what is wrong, and pass what is right."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gantk.testing.checks import (
    answer,
    check_close_in_bf16,
    check_finite,
    check_gradients,
    check_slope,
    form,
    seeded,
    stirred,
)
from gantk.testing.failures import ConformanceError


class Partly(nn.Module):
    """A network of which only one of two layers counts."""

    def __init__(self, kind: str = "right") -> None:
        super().__init__()
        self.kind = kind
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, image: Tensor) -> Tensor:
        if self.kind == "unused":
            return self.one(image)
        first = self.one(image)
        return self.two(first * 0 if self.kind == "off" else first)


@pytest.mark.parametrize(("kind", "said"), [("unused", r"'two\.weight'.*gets no gradient"), ("off", "is 0 everywhere")])
def test_a_parameter_that_learns_nothing_is_named(kind: str, said: str) -> None:
    network = Partly(kind)
    with pytest.raises(ConformanceError, match=said):
        check_gradients(network, form(network(torch.rand(4, 3))))
    right = Partly()
    check_gradients(right, form(right(torch.rand(4, 3))))


def test_numbers_that_are_none_are_counted() -> None:
    check_finite("it", torch.zeros(3))
    with pytest.raises(ConformanceError, match="2 values of 3"):
        check_finite("it", torch.tensor([1.0, torch.nan, torch.inf]))


def test_a_slope_that_is_not_the_gradient_is_found() -> None:
    network = nn.Linear(3, 1).double()
    image = torch.rand(4, 3, dtype=torch.float64)
    check_slope(lambda: network(image).square().mean(), network, "the loss")
    with pytest.raises(ConformanceError, match=r"the loss rises by .* its gradient says"):
        check_slope(lambda: (network(image) * network(image).detach()).mean(), network, "the loss")


def test_half_precision_may_differ_by_a_part_of_the_spread() -> None:
    full = torch.linspace(-1, 1, 101)
    check_close_in_bf16(full, full.bfloat16(), 0.02, "the output")
    with pytest.raises(ConformanceError, match=r"differs .* by 39\.6%"):
        check_close_in_bf16(full, full + 0.2, 0.02, "the output")


def test_a_seed_decides_weights_and_an_answer_leaves_the_mode() -> None:
    one, other = seeded(Partly), seeded(Partly)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    stirred(other)
    assert not any(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    one.train()
    assert not answer(one, torch.rand(2, 3)).requires_grad
    assert one.training
