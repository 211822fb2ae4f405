"""SPADE: norms modulated by a map of labels, against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from equations import array
from gantk import GantkError
from gantk_baselines.generators.spade import Spade, SpadeBlock, SpadeNorm


def convolved(layer: nn.Module, image: np.ndarray) -> np.ndarray:
    """A convolution with zeros around the image, (B, C, H, W)."""
    weight, bias = array(layer.weight), layer.bias
    pad = weight.shape[-1] // 2
    padded = np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    found = [[sum(correlate2d(c, k, "valid") for c, k in zip(one, w, strict=True)) for w in weight] for one in padded]
    return np.array(found) + (0 if bias is None else array(bias)[:, None, None])


def modulated(norm: SpadeNorm, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """norm(x)·(1 + γ(m)) + β(m), with the map at the size of x: every second, fourth … pixel."""
    step = labels.shape[-1] // x.shape[-1]
    hidden = np.maximum(convolved(norm.shared, labels[..., ::step, ::step]), 0)
    normed = (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-5)
    return normed * (1 + convolved(norm.gamma, hidden)) + convolved(norm.beta, hidden)


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def block_of(block: SpadeBlock, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    around = convolved(block.shortcut, modulated(block.norms[2], x, labels))
    for norm, convolution in zip(list(block.norms)[:2], block.convolutions, strict=True):
        x = convolved(convolution, leaky(modulated(norm, x, labels)))
    return around + x


def test_the_generator_is_the_published_sequence() -> None:
    torch.manual_seed(0)
    network = Spade(1, 1, {"labels": 2}, channels=2, levels=2, hidden=3, init_gain=1.0).double()
    image = torch.rand(2, 1, 8, 12, dtype=torch.float64) * 2 - 1
    labels = torch.nn.functional.one_hot(torch.randint(2, (2, 8, 12)), 2).permute(0, 3, 1, 2).double()
    shown = np.concatenate([array(image), array(labels)], axis=1)
    x = convolved(network.first, array(image).reshape(2, 1, 2, 4, 3, 4).mean((3, 5)))
    for number, block in enumerate(network.blocks):
        x = block_of(block, x.repeat(2, 2).repeat(2, 3) if number else x, shown)
    expected = np.tanh(convolved(network.last, leaky(x)))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(array(network(image, labels=labels)), expected, atol=1e-9)


def test_an_image_that_cannot_be_halved_so_often_is_refused() -> None:
    network = Spade(1, 1, {"labels": 2}, channels=2, levels=2, hidden=3)
    for height, width in ((8, 10), (4, 8)):
        with pytest.raises(GantkError, match="multiples of 4 of at least 8"):
            network(torch.zeros(1, 1, height, width), labels=torch.zeros(1, 2, height, width))
