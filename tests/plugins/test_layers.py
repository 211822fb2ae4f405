"""Building blocks of the networks against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch import nn

from gantk import GantkError
from gantk_baselines.layers import (
    BlurDown,
    BlurUp,
    InstanceNorm,
    OneMapConv2d,
    _kept,
    initialise,
    normalisation,
)


@pytest.mark.parametrize(("h", "w"), [(8, 8), (9, 12), (7, 5), (2, 3)])
def test_blur_down_is_the_published_filter(h, w):
    x = np.random.default_rng(0).normal(size=(2, 3, h, w))
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = [
        [convolve2d(np.pad(c, 1, mode="reflect"), kernel, mode="valid")[::2, ::2] for c in image] for image in x
    ]
    np.testing.assert_allclose(BlurDown()(torch.from_numpy(x)).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("h", "w"), [(8, 8), (5, 12), (1, 3)])
def test_blur_up_is_the_published_filter(h, w):
    x = np.random.default_rng(0).normal(size=(2, 3, h, w))
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16

    def up(channel):
        padded = np.pad(channel, 1, mode="edge")
        spread = np.zeros((2 * (h + 2) - 1, 2 * (w + 2) - 1))
        spread[::2, ::2] = padded
        return convolve2d(spread, kernel, mode="full")[3:-3, 3:-3]

    expected = [[up(channel) for channel in image] for image in x]
    actual = BlurUp()(torch.from_numpy(x))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-12)
    bilinear = nn.functional.interpolate(torch.from_numpy(x), scale_factor=2, mode="bilinear")
    np.testing.assert_allclose(actual.numpy(), bilinear.numpy(), atol=1e-12)


def test_resampling_matrices_first_made_for_inference_can_be_trained_with():
    _kept.cache_clear()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        BlurDown()(torch.rand(1, 1, 6, 6))
    x = torch.rand(1, 1, 6, 6, requires_grad=True)
    BlurDown()(x).sum().backward()
    assert x.grad is not None
    assert x.grad.sum().item() == pytest.approx(9.0)  # nine outputs, each an average


def test_instance_norm_is_the_formula():
    x = np.random.default_rng(0).normal(2, 3, size=(2, 3, 5, 7))
    mean, variance = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(InstanceNorm(3)(torch.from_numpy(x)).numpy(), expected, atol=1e-10)
    affine = InstanceNorm(3, affine=True).double()
    nn.init.constant_(affine.weight, 2.0)
    nn.init.constant_(affine.bias, -1.0)
    np.testing.assert_allclose(affine(torch.from_numpy(x)).detach().numpy(), 2 * expected - 1, atol=1e-10)


def test_norm_and_init_names_are_checked():
    with pytest.raises(GantkError, match="instance"):
        normalisation("layer", 4)
    with pytest.raises(GantkError, match="xavier"):
        initialise(nn.Conv2d(1, 1, 1), "kaiming")


def test_one_map_convolution_equals_a_convolution():
    torch.manual_seed(0)
    plain, fast = nn.Conv2d(6, 1, 7).double(), OneMapConv2d(6, 7).double()
    fast.load_state_dict(plain.state_dict())
    x = torch.randn(2, 6, 11, 14, dtype=torch.float64)
    torch.testing.assert_close(fast(x), plain(x))


@pytest.mark.parametrize(("init", "deviation"), [("normal", 0.02), ("xavier", 0.02 * (2 / (9 * 64 + 9 * 64)) ** 0.5)])
def test_initialisation(init, deviation):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(64, 64, 3), nn.BatchNorm2d(20_000))
    initialise(network, init, 0.02)
    assert network[0].weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert abs(network[0].weight.mean().item()) < 0.02 * deviation
    assert network[0].bias.count_nonzero() == network[1].bias.count_nonzero() == 0
    assert network[1].weight.mean().item() == pytest.approx(1.0, abs=1e-3)
    assert network[1].weight.std().item() == pytest.approx(0.02, rel=0.03)
