"""Networks of both plugins: published sizes, layer numbers, features, building blocks against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from scipy.signal import convolve2d
from torch import nn

from gantk import GantkError, Translation
from gantk_baselines.discriminators import PatchGan
from gantk_baselines.generators import Resnet, TimmGenerator, Unet
from gantk_baselines.layers import (
    BlurDown,
    BlurUp,
    InstanceNorm,
    OneMapConv2d,
    _kept,
    initialise,
    normalisation,
)
from gantk_ds3net.fusion import SoftmaxFusion
from gantk_ds3net.generator import Ds3Generator


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def tiny(kind: str, in_channels: int = 2) -> nn.Module:
    """A small generator of each kind, in eval mode, reproducible."""
    torch.manual_seed(0)
    built = {
        "resnet": lambda: Resnet(in_channels, 1, channels=4),
        "resnet-strided": lambda: Resnet(in_channels, 1, channels=4, blocks=2, antialias=False),
        "resnet-batch": lambda: Resnet(in_channels, 2, channels=4, blocks=2, norm="batch", dropout=0.5),
        "unet": lambda: Unet(in_channels, 1, levels=3, channels=4),
        "timm": lambda: TimmGenerator(in_channels, 1, "mobilenetv3_small_050", channels=4),
        "ds3": lambda: Ds3Generator(in_channels, 1, channels=4),
    }[kind]()
    return built.eval()


GENERATORS = ["resnet", "resnet-strided", "resnet-batch", "unet", "timm", "ds3"]


# --- published parameter counts -------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("levels", "norm", "expected"),
    [(8, "instance", 54_405_505), (8, "batch", 54_409_857), (7, "instance", 41_821_569)],
)
def test_unet_parameters(levels, norm, expected):
    with torch.device("meta"):
        assert count(Unet(3, 1, levels=levels, norm=norm)) == expected


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(
    ("in_channels", "expected"),
    [(1, 2_762_689), (2, 2_763_713), (3, 2_764_737), (4, 2_765_761), (6, 2_767_809)],
)
def test_patchgan_parameters(in_channels, expected, antialias):
    with torch.device("meta"):
        assert count(PatchGan(in_channels, antialias=antialias)) == expected


def test_ds3_parameters():
    """Three one-channel encoders, one decoder and the fusion: 3 times the encoder, once the rest."""
    with torch.device("meta"):
        single = Resnet(1, 1)
        encoder = count(single.layers[: single.first_decoder_layer])
        decoder = count(single.layers[single.first_decoder_layer :])
        fusion = 768 * 48 + 48 + 48 * 768 + 768
        assert count(Ds3Generator(3, 1)) == 3 * encoder + decoder + fusion == 33_427_505


# --- layer numbers and shapes ---------------------------------------------------------------------


def expected_resnet_shapes(c: int, inputs: int, h: int, w: int) -> dict[int, tuple[int, int, int]]:
    """(channels, height, width) of the antialiased generator's layers, from the published numbering."""
    shapes = {0: (inputs, h + 6, w + 6), 1: (c, h, w), 2: (c, h, w), 3: (c, h, w)}
    shapes |= dict.fromkeys((4, 5, 6), (2 * c, h, w)) | {7: (2 * c, h // 2, w // 2)}
    shapes |= dict.fromkeys((8, 9, 10), (4 * c, h // 2, w // 2)) | {11: (4 * c, h // 4, w // 4)}
    shapes |= dict.fromkeys(range(12, 21), (4 * c, h // 4, w // 4))
    shapes |= {21: (4 * c, h // 2, w // 2)} | dict.fromkeys((22, 23, 24), (2 * c, h // 2, w // 2))
    shapes |= {25: (2 * c, h, w)} | dict.fromkeys((26, 27, 28), (c, h, w))
    return shapes | {29: (c, h + 6, w + 6), 30: (1, h, w), 31: (1, h, w)}


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


# --- behaviour all generators share ---------------------------------------------------------------


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


def layer_calls(network: nn.Module, numbered: dict[int, list[nn.Module]], **call) -> dict[int, int]:
    """How often each numbered layer ran in one call of the network."""
    calls = dict.fromkeys(numbered, 0)

    def counter(number: int):
        def hook(*_):
            calls[number] += 1

        return hook

    handles = [m.register_forward_hook(counter(n)) for n, modules in numbered.items() for m in modules]
    network(torch.rand(1, 2, 16, 16), **call)
    for handle in handles:
        handle.remove()
    return calls


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


@pytest.mark.parametrize("last", [0, 2, 3, 5])
def test_unet_decode_false_runs_no_later_block(last):
    network = tiny("unet")
    numbered = {n: [m] for n, m in enumerate([*network.down, *network.up])}
    assert layer_calls(network, numbered, layers=(last,), decode=False) == {n: int(n <= last) for n in range(6)}


def test_every_layer_runs_once_in_a_translation_with_features():
    network = tiny("resnet")
    numbered = {n: [m] for n, m in enumerate(network.layers)}
    assert set(layer_calls(network, numbered, layers=(0, 4, 20)).values()) == {1}


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


# --- PatchGAN -------------------------------------------------------------------------------------


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(("size", "expected"), [(256, 30), (224, 26), (24, 1)])
def test_patchgan_map_size(size, expected, antialias):
    with torch.device("meta"):
        network = PatchGan(1, channels=2, antialias=antialias)
        assert network(torch.zeros(1, 1, size, size)).shape == (1, 1, expected, expected)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_patchgan_smallest_image(layers):
    network = PatchGan(1, channels=2, layers=layers)
    assert network(torch.rand(1, 1, network.least, network.least + 7)).shape[2] == 1
    with pytest.raises(GantkError, match=f"at least {network.least}"):
        network(torch.rand(1, 1, network.least - 1, 64))


def test_patchgan_receptive_field_is_70_pixels():
    network = PatchGan(1, channels=2, norm="none").double()
    image = torch.rand(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    network(image)[0, 0, 7, 7].backward()
    rows, columns = np.nonzero(image.grad[0, 0].numpy())
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 70


# --- timm -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backbone",
    ["resnet18", "convnext_atto", "efficientnet_b0", "mobilenetv3_small_050", "vit_tiny_patch16_224"],
)
def test_timm_backbones(backbone):
    network = TimmGenerator(2, 1, backbone, channels=4, image_size=(64, 96)).eval()
    with torch.no_grad():
        output, features = network(torch.rand(1, 2, 64, 96), layers=(0, 1))
    assert output.shape == (1, 1, 64, 96)
    for layer, feature in features.items():
        reduction = network.reductions[layer]
        assert feature.shape == (1, network.stage_channels[layer], 64 // reduction, 96 // reduction)


def test_timm_channels_last_backbone_gives_channels_first_features():
    network = TimmGenerator(1, 1, "swin_s3_tiny_224", channels=4, image_size=(224, 224)).eval()
    with torch.no_grad():
        feature = network(torch.rand(1, 1, 224, 224), layers=(0,), decode=False).features[0]
    assert feature.shape == (1, network.stage_channels[0], 56, 56)


def test_timm_unknown_backbone_and_missing_weights(monkeypatch):
    with pytest.raises(GantkError, match="resnet18"):
        TimmGenerator(1, 1, "resnet_18")

    def offline(*_, **__):
        raise OSError("We couldn't connect to 'https://huggingface.co'")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(GantkError, match=r"with its weights.*couldn't connect.*pretrained = false"):
        TimmGenerator(1, 1, "resnet18", pretrained=True)


# --- building blocks against NumPy ----------------------------------------------------------------


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


@pytest.mark.parametrize("softmax_over", ["modalities", "channels"])
@pytest.mark.parametrize("encoders", [1, 3])
def test_fusion_against_numpy(encoders, softmax_over):
    torch.manual_seed(0)
    fusion = SoftmaxFusion(encoders, 4, reduction=2, softmax_over=softmax_over).double()
    streams = [torch.randn(2, 4, 3, 5, dtype=torch.float64) for _ in range(encoders)]
    first, _, second = fusion.excitation
    w1, b1, w2, b2 = (p.detach().numpy() for p in (first.weight, first.bias, second.weight, second.bias))
    x = np.stack([s.numpy() for s in streams])  # (E, B, C, h, w)
    expected = np.zeros_like(x[0])
    for b in range(2):
        squeezed = x[:, b].mean((2, 3)).reshape(-1)
        z = np.exp(w2 @ np.maximum(w1 @ squeezed + b1, 0) + b2).reshape(encoders, 4)
        weights = z / z.sum(0) if softmax_over == "modalities" else 4 * z / z.sum()
        expected[b] = (weights[:, :, None, None] * x[:, b]).sum(0)
    np.testing.assert_allclose(fusion(streams).detach().numpy(), expected, atol=1e-12)


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
