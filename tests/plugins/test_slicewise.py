"""Slices of volumes as inputs of networks for pictures."""

from __future__ import annotations

import pytest
import torch

from gantk.plugins import load_plugins
from gantk.testing import Bench
from gantk_baselines.perceptual import Perceptual
from gantk_baselines.slicewise import of_slices


def test_frozen_networks_are_shown_slices_of_volumes() -> None:
    parameters = {"network": "vgg11", "weights": "random", "layers": ["relu1_1"], "slices": 3}
    registry = load_plugins().registry
    loss = Perceptual(network="vgg11", weights="random", layers=("relu1_1",), slices=3)
    made = Bench(registry.get("loss", "perceptual"), parameters, size=(6, 16, 24), ones=True)
    torch.manual_seed(3)
    view = made.view()
    value = loss(view)
    shown = of_slices(view, view.target, 3)
    places = [next(d for d in range(6) if torch.equal(view.target[0, :, d], shown[number])) for number in range(3)]
    assert places == sorted(set(places))
    assert shown.shape == (6, 1, 16, 24)
    for number, d in enumerate(places):
        assert torch.equal(shown[3 + number], view.target[1, :, d])
    assert of_slices(view, view.output, 3).shape == shown.shape
    features = [loss.network(image)["relu1_1"] for image in (of_slices(view, view.output, 3), shown)]
    assert value.item() == pytest.approx((features[0] - features[1]).abs().mean().item(), rel=1e-5)
    assert set(places) != set(range(6))
