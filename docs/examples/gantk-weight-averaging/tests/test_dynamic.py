"""dynamic_weights meets the contract of balances, and its weights are those of the paper."""

from dataclasses import dataclass, field
from math import exp

import gantk_weight_averaging
import pytest
import torch

import gantk
import gantk.testing


class TestDynamicWeights(gantk.testing.BalanceConformance):
    component = gantk_weight_averaging.DynamicWeights
    terms = ("first", "second")


@dataclass
class Step:
    """The part of a view that the balance uses."""

    moment: gantk.Moment
    logged: dict[str, float] = field(default_factory=dict)

    def log(self, name: str, value: torch.Tensor) -> None:
        self.logged[name] = float(value)


def test_weights_are_those_of_the_paper() -> None:
    balance = gantk_weight_averaging.DynamicWeights(("a", "b"), temperature=2.0)
    epochs = [([4.0, 2.0], [1.0, 1.0]), ([2.0, 2.0], [0.8, 1.0]), ([1.0, 1.0], [0.9, 0.9])]
    means = []
    for number, (a, b) in enumerate(epochs):
        weights = [1.0, 1.0]
        if number >= 2:
            ratios = [last / before for last, before in zip(means[-1], means[-2], strict=True)]
            total = sum(exp(ratio / 2) for ratio in ratios)
            weights = [2 * exp(ratio / 2) / total for ratio in ratios]
        for step, (one, two) in enumerate(zip(a, b, strict=True)):
            view = Step(gantk.Moment("training", number, 3, 2 * number + step))
            found = balance({"a": torch.tensor(one), "b": torch.tensor(two)}, view)
            assert found.item() == pytest.approx(weights[0] * one + weights[1] * two, rel=1e-5)
            assert view.logged == pytest.approx({"weight a": weights[0], "weight b": weights[1]}, rel=1e-5)
        means.append([sum(a) / 2, sum(b) / 2])
    assert weights[1] > weights[0]  # b fell more slowly


def test_a_term_that_comes_late_has_the_weight_of_the_others() -> None:
    balance = gantk_weight_averaging.DynamicWeights(("a", "b"))
    for number in range(4):
        balance({"a": torch.tensor(1.0)}, Step(gantk.Moment("training", number, 4, number)))
    assert balance.weights.tolist() == [1.0, 1.0]
