"""Flow matching: the loss is that of the velocity, and sampling follows it from noise to the image."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from gantk_baselines.flow import FlowMatching, FlowUnet


def network(steps: int = 4) -> FlowUnet:
    torch.manual_seed(0)
    return FlowUnet(2, 1, steps=steps, levels=2, channels=4).eval()


def test_state_and_time_are_0_where_they_are_absent() -> None:
    made, image = network(), torch.rand(2, 2, 8, 8)
    assert torch.equal(made(image), made(image, state=torch.zeros(2, 1, 8, 8), t=torch.zeros(2, 1)))
    assert not torch.equal(made(image), made(image, t=torch.ones(2, 1)))
    assert not torch.equal(made(image), made(image, state=torch.ones(2, 1, 8, 8)))


def test_the_loss_is_that_of_the_velocity() -> None:
    target, given = torch.rand(3, 1, 8, 8) * 2 - 1, {}

    def translate(given: dict[str, Tensor]) -> Tensor:
        seen.update(given)
        return 0.5 * target

    seen: dict[str, Tensor] = given
    view: Any = SimpleNamespace(target=target, translate=translate, weighted_mean=lambda error: error.mean())
    torch.manual_seed(1)
    value = FlowMatching()(view)
    state, t = seen["state"], seen["t"][:, :, None, None]
    noise = (state - t * target) / (1 - t)
    assert (t < 0.95).all(), "else the floor counts"
    assert ((t >= 0) & (t <= 1)).all()
    predicted = (0.5 * target - state) / (1 - t)
    assert torch.allclose(value, (predicted - (target - noise)).square().mean(), rtol=1e-4)


def test_sampling_ends_where_the_last_step_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made, image, seen = network(), torch.rand(2, 2, 8, 8), []

    def likely(image: Tensor, *, state: Tensor, t: Tensor) -> Tensor:
        seen.append((state, t[0].item()))
        return torch.full_like(state, 0.25)

    monkeypatch.setattr(made, "forward", likely)
    torch.manual_seed(3)
    noise = torch.randn(2, 1, 8, 8)
    torch.manual_seed(3)
    assert torch.allclose(made.sample(image), torch.full((2, 1, 8, 8), 0.25))
    assert [t for _, t in seen] == [0, 0.25, 0.5, 0.75]
    for state, t in seen:
        assert torch.allclose(state, t * torch.full_like(noise, 0.25) + (1 - t) * noise, atol=1e-5)


def test_samples_differ_and_repeat() -> None:
    made, image = network(), torch.rand(2, 2, 8, 8)
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(made.sample(image))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert draws[0].abs().max() <= 1
