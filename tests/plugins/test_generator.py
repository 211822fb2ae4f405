"""DS³-Net's generator: published size, streams of its encoders, layer numbers."""

from __future__ import annotations

import pytest
import torch

from gantk_baselines.generators import Resnet
from gantk_ds3net.generator import Ds3Generator
from tiny_networks import count, expected_resnet_shapes, tiny


def test_ds3_parameters():
    """Three one-channel encoders, one decoder and the fusion: 3 times the encoder, once the rest."""
    with torch.device("meta"):
        single = Resnet(1, 1)
        encoder = count(single.layers[: single.first_decoder_layer])
        decoder = count(single.layers[single.first_decoder_layer :])
        fusion = 768 * 48 + 48 + 48 * 768 + 768
        assert count(Ds3Generator(3, 1)) == 3 * encoder + decoder + fusion == 33_427_505


@pytest.mark.parametrize("encoder_features", ["all", "mean", "first"])
def test_ds3_layer_shapes(encoder_features):
    network = Ds3Generator(3, 1, channels=4, encoder_features=encoder_features)
    features = network(torch.rand(2, 3, 12, 16), layers=tuple(range(32))).features
    streams = 3 if encoder_features == "all" else 1
    expected = expected_resnet_shapes(4, 1, 12, 16)
    assert sorted(features) == list(range(32))
    for number, feature in features.items():
        batch = 2 * streams if number <= 20 else 2
        assert tuple(feature.shape) == (batch, *expected[number]), number


def test_ds3_streams_are_stacked_stream_major():
    network = tiny("ds3", in_channels=3)
    image = torch.rand(2, 3, 8, 8)
    layer = network(image, layers=(0, 12)).features
    padded = torch.nn.functional.pad(image, (3, 3, 3, 3), mode="reflect")
    assert torch.equal(layer[0], torch.cat([padded[:, 0], padded[:, 1], padded[:, 2]])[:, None])
    alone = network.encoders[1][:13](image[:, 1:2])
    assert torch.equal(layer[12][2:4], alone)
    network.encoder_features = "mean"
    mean = network(image, layers=(12,)).features[12]
    torch.testing.assert_close(mean, layer[12].view(3, 2, *mean.shape[1:]).mean(0))
    network.encoder_features = "first"
    assert torch.equal(network(image, layers=(12,)).features[12], layer[12][:2])


@pytest.mark.parametrize("encoders", [1, 2, 4])
def test_ds3_any_number_of_modalities(encoders):
    assert tiny("ds3", encoders)(torch.rand(1, encoders, 8, 12)).shape == (1, 1, 8, 12)


def test_ds3_encoders_see_one_modality_each():
    network = tiny("ds3", in_channels=3)
    image = torch.rand(1, 3, 8, 8)
    changed = image.clone()
    changed[:, 2] = 0.0
    before, after = (network(x, layers=(20,), decode=False).features[20] for x in (image, changed))
    assert torch.equal(before[:2], after[:2])
    assert not torch.equal(before[2], after[2])


def test_ds3_may_show_its_last_convolution_the_source():
    torch.manual_seed(0)
    plain = Ds3Generator(3, 1, channels=4, blocks=1, init_gain=1.0)
    skipping = Ds3Generator(3, 1, channels=4, blocks=1, init_gain=1.0, skip="source")
    assert count(skipping) - count(plain) == 3 * 7 * 7
    weights = {k: v for k, v in plain.state_dict().items() if v.shape == skipping.state_dict()[k].shape}
    skipping.load_state_dict(skipping.state_dict() | weights)
    last = next(name for name in skipping.state_dict() if name not in weights)
    with torch.no_grad():
        skipping.state_dict()[last][:, :4] = plain.state_dict()[last]
        skipping.state_dict()[last][:, 4:] = 0
    image = torch.rand(2, 3, 16, 20) * 2 - 1
    assert torch.allclose(skipping(image), plain(image), atol=1e-6), "without weights on the source it is the same"
    with torch.no_grad():
        skipping.state_dict()[last][:] = 0
        skipping.state_dict()[last][0, 5, 3, 3] = 1  # the second modality's own pixel
    assert torch.allclose(skipping(image), torch.tanh(image[:, 1:2]), atol=1e-5)
    layers = (0, 8, 13, len(plain.encoders[0]) + 7)
    for decode in (True, False):
        one, other = plain(image, layers, decode), skipping(image, layers, decode)
        assert all(torch.equal(one.features[n], other.features[n]) for n in layers)
        assert (other.output is None) != decode
    joined = skipping(image, (len(plain.encoders[0]) + 8,), False).features
    assert next(iter(joined.values())).shape == (2, 4 + 3, 16 + 6, 20 + 6)
