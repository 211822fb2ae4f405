"""The ResNet generator: published sizes, layer numbers and shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantk_baselines.generators import Resnet
from gantk_baselines.layers import (
    BlurDown,
    BlurUp,
)
from tiny_networks import count, expected_resnet_shapes, layer_calls, tiny


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(
    ("in_channels", "options", "expected"),
    [
        (3, {}, 11_371_905),
        (1, {}, 11_365_633),
        (3, {"norm": "batch"}, 11_377_153),
        (3, {"blocks": 6}, 7_831_425),
    ],
)
def test_resnet_parameters(in_channels, options, expected, antialias):
    with torch.device("meta"):
        assert count(Resnet(in_channels, 1, antialias=antialias, **options)) == expected


@pytest.mark.parametrize(("h", "w"), [(16, 16), (12, 20)])
def test_resnet_layer_shapes(h, w):
    features = tiny("resnet")(torch.rand(1, 2, h, w), layers=tuple(range(32))).features
    assert {n: tuple(f.shape[1:]) for n, f in features.items()} == expected_resnet_shapes(4, 2, h, w)


def test_resnet_layer_kinds():
    layers = tiny("resnet").layers
    kinds = {
        0: nn.ReflectionPad2d,
        3: nn.ReLU,
        4: nn.Conv2d,
        7: BlurDown,
        8: nn.Conv2d,
        11: BlurDown,
        21: BlurUp,
    }
    assert all(isinstance(layers[n], kind) for n, kind in (kinds | {22: nn.Conv2d, 31: nn.Tanh}).items())
    assert {type(layers[n]).__name__ for n in range(12, 21)} == {"ResidualBlock"}


def test_every_layer_runs_once_in_a_translation_with_features():
    network = tiny("resnet")
    numbered = {n: [m] for n, m in enumerate(network.layers)}
    assert set(layer_calls(network, numbered, layers=(0, 4, 20)).values()) == {1}
