"""The U-Net: published sizes, layer numbers and shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantk_baselines.generators import Unet
from gantk_baselines.layers import (
    InstanceNorm,
)
from tiny_networks import count, layer_calls, tiny


@pytest.mark.parametrize(
    ("levels", "norm", "expected"),
    [(8, "instance", 54_405_505), (8, "batch", 54_409_857), (7, "instance", 41_821_569)],
)
def test_unet_parameters(levels, norm, expected):
    with torch.device("meta"):
        assert count(Unet(3, 1, levels=levels, norm=norm)) == expected


def test_unet_layer_shapes():
    features = Unet(2, 1, levels=4, channels=4)(torch.rand(2, 2, 16, 32), layers=tuple(range(8))).features
    widths = [4, 8, 16, 32, 16, 8, 4, 1]
    halvings = [1, 2, 3, 4, 3, 2, 1, 0]
    expected = {n: (2, widths[n], 16 >> halvings[n], 32 >> halvings[n]) for n in range(8)}
    assert {n: tuple(f.shape) for n, f in features.items()} == expected


def test_unet_innermost_and_outermost_have_no_norm_and_dropout_is_where_published():
    network = Unet(3, 1, levels=8, channels=1, norm="instance")
    normed = [any(isinstance(m, InstanceNorm) for m in block) for block in [*network.down, *network.up]]
    assert normed == [False, *[True] * 6, False] + [True] * 7 + [False]
    dropout = [any(isinstance(m, nn.Dropout) for m in block) for block in network.up]
    assert dropout == [False, True, True, True, False, False, False, False]


@pytest.mark.parametrize("last", [0, 2, 3, 5])
def test_unet_decode_false_runs_no_later_block(last):
    network = tiny("unet")
    numbered = {n: [m] for n, m in enumerate([*network.down, *network.up])}
    assert layer_calls(network, numbered, layers=(last,), decode=False) == {n: int(n <= last) for n in range(6)}
