"""Generators at test: their mode, gradients, buffers and random numbers, during and afterwards."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from gantk.api.at_test import as_tested, at_rest, draws

IMAGE = torch.rand(4, 1, 8, 8)


def recipe(mode: str) -> Any:
    return SimpleNamespace(translators={"g": SimpleNamespace(at_test=mode)}, run=SimpleNamespace(seed=3))


@pytest.fixture
def chain() -> Any:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    return SimpleNamespace(networks={"g": network}, draws=False)


def test_modes_come_back_whatever_they_were(chain: Any) -> None:
    network = chain.networks["g"].train()
    network[1].eval()
    other = nn.Conv2d(1, 1, 1).eval()
    with suppress(ZeroDivisionError), at_rest([network, other]):
        assert not network.training
        assert not torch.is_grad_enabled()
        raise ZeroDivisionError
    assert network.training
    assert not other.training
    assert torch.is_grad_enabled()


def test_evaluation_mode_draws_nothing(chain: Any) -> None:
    network = chain.networks["g"]
    assert not draws(chain, recipe("eval"))
    with as_tested(chain, recipe("eval")):
        torch.testing.assert_close(network(IMAGE), network(IMAGE))
        assert not network(IMAGE).requires_grad


def test_kept_dropout_draws_from_the_recipes_seed_and_leaves_no_trace(chain: Any) -> None:
    network, train = chain.networks["g"], recipe("train")
    assert draws(chain, train)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    made = []
    for sample in (0, 0, 1):
        with as_tested(chain, train, sample):
            made.append(network(IMAGE))
        torch.rand(1)  # whatever was drawn between them
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    torch.set_rng_state(state)
    first = torch.rand(1)
    torch.set_rng_state(state)
    with as_tested(chain, train):
        network(IMAGE)
    assert torch.equal(torch.rand(1), first)
