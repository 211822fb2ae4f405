"""The ensemble's image is the mean of its members, and its spread their standard deviation."""

from __future__ import annotations

import numpy as np
import torch

from equations import array
from gantk_baselines.generators import Ensemble, Unet


def members(outputs: int = 2) -> Ensemble:
    torch.manual_seed(0)
    return Ensemble(3, outputs, lambda: Unet(3, outputs, 1, 4, "none", 0.0), members=4).eval()


def test_mean_and_spread() -> None:
    network, image = members(), torch.rand(2, 3, 8, 12) * 2 - 1
    made = network(image)
    alone = np.stack([array(member(image)) for member in network.members])
    np.testing.assert_allclose(array(made.output), alone.mean(0), atol=1e-6)
    spread = np.sqrt(((alone - alone.mean(0)) ** 2).sum(0) / 3).mean(1, keepdims=True)
    assert spread.max() > 1e-3
    np.testing.assert_allclose(array(made.extra["spread"]), spread, atol=1e-6)


def test_members_start_apart_and_need_the_sizes_of_one() -> None:
    network = members(1)
    weights = [next(iter(member.parameters())) for member in network.members]
    assert not any(torch.equal(weights[0], other) for other in weights[1:])
    assert network.size_multiple == network.members[0].size_multiple == 2
