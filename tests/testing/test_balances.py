"""Mistakes that authors of balances make are found, and named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk.testing import BalanceConformance
from gantk.testing.failures import ConformanceError


class Sum(nn.Module):
    """A learned weight for each term."""

    def __init__(self, terms: tuple[str, ...]) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({name: torch.ones(()) for name in terms})

    def forward(self, losses: dict[str, Tensor], view: Any) -> Tensor:
        return sum(self.weights[name].exp() * loss for name, loss in losses.items())


class Needy(Sum):
    """Every term must be there."""

    def forward(self, losses: dict[str, Tensor], view: Any) -> Tensor:
        return sum(self.weights[name] * losses[name] for name in self.weights)


class Unused(Sum):
    """One weight counts for nothing."""

    def __init__(self, terms: tuple[str, ...]) -> None:
        super().__init__(terms)
        self.spare = nn.Parameter(torch.ones(()))


class Forgetful(Sum):
    """It has state outside of checkpoints."""

    calls = 0

    def forward(self, losses: dict[str, Tensor], view: Any) -> Tensor:
        self.calls += 1
        return self.calls * super().forward(losses, view)


class Detached(Sum):
    """No gradient reaches the generator."""

    def forward(self, losses: dict[str, Tensor], view: Any) -> Tensor:
        return super().forward({name: loss.detach() for name, loss in losses.items()}, view)


def check(balance: type, test: str) -> None:
    getattr(type("Case", (BalanceConformance,), {"component": balance})(), test)()


@pytest.mark.parametrize("test", ["test_loss", "test_absent_terms", "test_resume"])
def test_a_right_balance_passes(test: str) -> None:
    check(Sum, test)


@pytest.mark.parametrize(
    ("balance", "test", "said"),
    [
        (Unused, "test_loss", "'spare' gets no gradient"),
        (Detached, "test_loss", "gets no gradient"),
        (Forgetful, "test_resume", "with the same state it balances otherwise"),
    ],
)
def test_wrong_balances(balance: type, test: str, said: str) -> None:
    with pytest.raises(ConformanceError, match=said):
        check(balance, test)


def test_a_term_that_is_absent_must_not_be_needed() -> None:
    with pytest.raises(KeyError):
        check(Needy, "test_absent_terms")
