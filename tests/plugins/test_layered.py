"""Generators with numbered layers: features in the pass that translates, and no layer more than is wanted."""

from __future__ import annotations

import pytest
import torch

from gantk import GantkError, Translation
from gantk_baselines.discriminators import PatchGan
from gantk_baselines.generators import Resnet, Unet
from gantk_ds3net.generator import Ds3Generator
from tiny_networks import layer_calls, tiny

GENERATORS = ["resnet", "resnet-strided", "resnet-batch", "unet", "timm", "ds3", "ds3_unet"]


@pytest.mark.parametrize("kind", GENERATORS)
def test_output_range_and_shape(kind):
    network = tiny(kind)
    h, w = 2 * network.size_multiple, 3 * network.size_multiple
    image = torch.rand(2, 2, h, w) * 2 - 1
    output = network(image)
    assert output.shape[0] == 2
    assert output.shape[2:] == (h, w)
    assert output.abs().max() <= 1
    assert output.std() > 0
    translation = network(image, layers=(1,))
    assert isinstance(translation, Translation)
    assert torch.equal(translation.output, output)
    assert list(translation.features) == [1]


@pytest.mark.parametrize("kind", GENERATORS)
def test_features_of_a_translation_equal_those_of_encoding_only(kind):
    network = tiny(kind)
    image = torch.rand(2, 2, 2 * network.size_multiple, 2 * network.size_multiple)
    layers = (0, 2, 4)
    whole, part = network(image, layers=layers), network(image, layers=layers, decode=False)
    assert part.output is None
    assert sorted(whole.features) == sorted(part.features) == sorted(layers)
    assert all(torch.equal(whole.features[n], part.features[n]) for n in layers)


@pytest.mark.parametrize("last", [0, 4, 16, 20, 21, 31])
def test_decode_false_runs_no_later_layer(last):
    resnet, ds3 = tiny("resnet"), tiny("ds3")
    numbered = {n: [m] for n, m in enumerate(resnet.layers)}
    ran = layer_calls(resnet, numbered, layers=(0, last), decode=False)
    assert ran == {n: int(n <= last) for n in range(32)}
    numbered = {n: [e[n] for e in ds3.encoders] for n in range(21)}
    numbered |= {21 + n: [m] for n, m in enumerate(ds3.decoder)}
    ran = layer_calls(ds3, numbered, layers=(0, last), decode=False)
    assert ran == {n: (2 if n <= 20 else 1) * int(n <= last) for n in range(32)}
    ds3.encoder_features = "first"
    ran = layer_calls(ds3, numbered, layers=(last,), decode=False)
    encoders = 1 if last <= 20 else 2  # the decoder needs both
    assert ran == {n: (encoders if n <= 20 else 1) * int(n <= last) for n in range(32)}


@pytest.mark.parametrize("kind", GENERATORS)
def test_later_layers_do_not_change_features(kind):
    """No layer works in place on what was handed out."""
    network = tiny(kind)
    image = torch.rand(1, 2, 2 * network.size_multiple, 2 * network.size_multiple)
    kept = image.clone()
    for layer in range(4):
        alone = network(image, layers=(layer,), decode=False).features[layer]
        assert torch.equal(alone, network(image, layers=(layer,)).features[layer])
    assert torch.equal(image, kept)


@pytest.mark.parametrize("kind", GENERATORS)
def test_wrong_images_and_layers_are_explained(kind):
    network = tiny(kind)
    size = 2 * network.size_multiple
    with pytest.raises(GantkError, match="built for"):
        network(torch.rand(1, 5, size, size))
    with pytest.raises(GantkError, match="multiples of"):
        network(torch.rand(1, 2, size + 1, size))
    with pytest.raises(GantkError, match="layer 99 does not exist"):
        network(torch.rand(1, 2, size, size), layers=(99,))


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_bf16_autocast_is_finite_and_near_fp32(norm):
    torch.manual_seed(0)
    networks = [
        Resnet(2, 1, channels=8, blocks=2, norm=norm),
        Unet(2, 1, levels=3, channels=8, norm=norm, dropout=0.0),
        Ds3Generator(2, 1, channels=8, blocks=2, norm=norm),
        PatchGan(2, channels=8, norm=norm, antialias=True),
    ]
    image = torch.rand(2, 2, 32, 24) * 2 - 1
    for network in networks:
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            output = network(image)
        output.float().square().mean().backward()
        assert torch.isfinite(output).all()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
        assert (output.float() - exact).abs().max() < 0.1 * exact.abs().max()
