"""Feature networks: VGG as published, other networks of timm, and files of weights."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from equations import MEAN, STD, VGG11, published_vgg
from gantk import GantkError
from gantk_baselines.feature_network import FeatureNetwork
from gantk_baselines.perceptual import Perceptual

VGG16 = [[64, 64], [128, 128], [256] * 3, [512] * 3, [512] * 3]

SMALL = [
    "translators.generator.generator.channels=4",
    "translators.generator.discriminator.channels=4",
    "translators.generator.discriminator.layers=1",
]

PGAN = [*SMALL, "translators.generator.generator.blocks=1", "translators.generator.generator.dropout=0.0"]

vgg11 = partial(dict, network="vgg11", weights="random")


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 16, 24), (2, 1, 20, 17)])
def test_vgg_features_are_the_published_networks(shape: tuple[int, ...], normalise: bool) -> None:
    network = FeatureNetwork.shared("vgg11", "random", normalise)
    layers = ["conv1_1", "relu1_1", "pool1", "relu2_1", "conv3_2", "relu3_2"]
    network.want(layers)
    image = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    features = network(image)
    expected = published_vgg(network.body.state_dict(), VGG11, image, normalise)
    assert set(layers) <= set(features)
    for layer in layers:
        assert torch.allclose(features[layer], expected[layer], rtol=1e-12, atol=1e-12), layer


def test_layer_names() -> None:
    expected = []
    for block, widths in enumerate(VGG16, start=1):
        for j in range(1, len(widths) + 1):
            expected += [f"conv{block}_{j}", f"relu{block}_{j}"]
        expected.append(f"pool{block}")
    network = FeatureNetwork("vgg16", "random")
    assert network.names == expected
    # the layer that pGAN's code takes: the ninth of the sequence, before the second pooling
    assert isinstance(network.body[8], nn.ReLU)
    assert network.names[8] == "relu2_2"
    assert network.body[7].weight.shape == (128, 128, 3, 3)


def test_random_weights_are_he_initialised_and_always_the_same() -> None:
    torch.manual_seed(0)
    one = FeatureNetwork("vgg11", "random")
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(3)), "the global generator was used"
    torch.manual_seed(1)
    other = FeatureNetwork("vgg11", "random")
    for name, weight in one.body.state_dict().items():
        assert torch.equal(weight, other.body.state_dict()[name]), name
    for layer in one.body:
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
            assert not layer.bias.any()


def test_another_network_of_timm() -> None:
    network = FeatureNetwork("resnet10t", "random")
    assert network.names == ["act1", "layer1", "layer2", "layer3", "layer4"]
    network.want(["layer3", "act1"])
    image = torch.rand(2, 1, 64, 96) * 2 - 1
    features = network(image)
    assert {name: tuple(f.shape) for name, f in features.items()} == {
        "act1": (2, 64, 32, 48),
        "layer3": (2, 256, 4, 6),
    }
    # the same weights in timm's own model, run layer by layer
    model = timm.create_model("resnet10t")
    model.load_state_dict(network.body.state_dict())
    model.eval()
    x = (image.repeat(1, 3, 1, 1) + 1) / 2
    x = (x - torch.tensor(MEAN).float().view(1, 3, 1, 1)) / torch.tensor(STD).float().view(1, 3, 1, 1)
    for stage in (model.conv1, model.bn1, model.act1, model.maxpool, model.layer1, model.layer2, model.layer3):
        x = stage(x)
    assert torch.allclose(features["layer3"], x, rtol=1e-4, atol=1e-5)


def test_a_network_with_batch_norm_names_it_and_is_at_rest() -> None:
    network = FeatureNetwork("vgg11_bn", "random")
    assert network.names[:4] == ["conv1_1", "norm1_1", "relu1_1", "pool1"]
    network.want(["relu1_1"])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    features = network(torch.rand(2, 1, 8, 8))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert features["relu1_1"].shape == (2, 64, 8, 8)


def test_channels_other_than_three_are_images_of_their_own(kept: FeatureNetwork) -> None:
    kept.want(["relu2_1"])
    image = torch.rand(2, 4, 12, 16) * 2 - 1
    together = kept(image)["relu2_1"]
    apart = torch.cat([kept(image[:, i : i + 1])["relu2_1"] for i in range(4)])  # channel by channel, as streams are
    assert torch.allclose(together, apart, atol=1e-6)
    colour = torch.rand(2, 3, 12, 16) * 2 - 1
    grey = colour[:, :1]
    assert kept(colour)["relu2_1"].shape == (2, 128, 6, 8)
    assert torch.allclose(kept(grey.expand(-1, 3, -1, -1))["relu2_1"], kept(grey)["relu2_1"], atol=1e-6)
    assert not torch.allclose(kept(colour)["relu2_1"], kept(grey)["relu2_1"], atol=1e-2)


def full_state(network: FeatureNetwork) -> dict[str, Tensor]:
    """The state as in a file of a whole classifier."""
    state = {f"features.{name}": weight.contiguous() + 1 for name, weight in network.body.state_dict().items()}
    return state | {"head.fc.weight": torch.zeros(10, 4)}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_from_a_file(kept: FeatureNetwork, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vgg{suffix}"
    state = full_state(kept)
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    loaded = FeatureNetwork("vgg11", path).body.state_dict()
    assert loaded.keys() == kept.body.state_dict().keys()
    for name, weight in loaded.items():
        assert torch.equal(weight, state[f"features.{name}"].to(weight.dtype))


def test_a_file_of_another_network_of_timm(tmp_path: Path) -> None:
    model = timm.create_model("resnet10t")
    torch.save(model.state_dict(), path := tmp_path / "resnet.pt")
    loaded = FeatureNetwork("resnet10t", path).body.state_dict()
    assert all(torch.equal(weight, loaded[name]) for name, weight in model.state_dict().items())


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_file_never_executes_code(tmp_path: Path) -> None:
    path, sprung = tmp_path / "evil.pth", tmp_path / "sprung"
    torch.save({"features.0.weight": Trap(sprung)}, path)
    with pytest.raises(GantkError, match=r"evil\.pth cannot be used"):
        FeatureNetwork("vgg11", path)
    path.write_bytes(pickle.dumps(Trap(sprung), protocol=2))
    with pytest.raises(GantkError, match="cannot be used"):
        FeatureNetwork("vgg11", path)
    assert not sprung.exists()


def test_files_that_cannot_be_used(kept: FeatureNetwork, tmp_path: Path) -> None:
    with pytest.raises(GantkError, match=r'there is no file .*missing\.pth.*"pretrained", "random" or the path'):
        FeatureNetwork("vgg11", tmp_path / "missing.pth")
    with pytest.raises(GantkError, match="there is no file"):
        FeatureNetwork("vgg11", tmp_path / "missing.safetensors")
    (tmp_path / "noise.safetensors").write_bytes(b"nothing of the kind" * 5)
    with pytest.raises(GantkError, match="cannot be used"):
        FeatureNetwork("vgg11", tmp_path / "noise.safetensors")
    torch.save(full_state(kept), tmp_path / "vgg11.pth")
    with pytest.raises(GantkError, match=r"vgg11\.pth"):
        FeatureNetwork("vgg13", tmp_path / "vgg11.pth")
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(GantkError, match=r"holds no features\.0\.weight"):
        FeatureNetwork("vgg11", tmp_path / "other.pth")


def test_a_recipe_without_its_pretrained_weights_says_how_to_get_them(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> Any:
        raise OSError("We couldn't connect to 'https://huggingface.co' to load the files")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_url", offline)
    with pytest.raises(GantkError) as caught:
        build("pgan.toml", [*PGAN, 'losses.perceptual.network="resnet10t"', 'losses.perceptual.weights="pretrained"'])
    said = str(caught.value)
    assert "couldn't connect" in said
    for way in ("timm.create_model('resnet10t', pretrained=True)", "path of a file", 'weights = "random"'):
        assert way in said
    # parts that need no download are built anyway
    assert build("pgan.toml", [*PGAN, "losses.perceptual.enabled=true"]).term("perceptual")


def test_a_recipe_names_a_file_of_weights(kept: FeatureNetwork, build: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(full_state(kept), path)
    built = build(
        "pgan.toml",
        [
            *PGAN,
            f'losses.perceptual.weights="{path.as_posix()}"',
            'losses.perceptual.network="vgg11"',
            'losses.perceptual.layers=["relu2_1"]',
        ],
    )
    network = built.term("perceptual").loss.network
    assert torch.equal(network.body[0].weight, kept.body[0].weight.to(torch.float32) + 1)


def test_networks_are_freed_with_the_last_loss() -> None:
    loss = Perceptual(("relu1_1",), network="vgg13", weights="random")
    again = Perceptual(("relu2_1",), network="vgg13", weights="random")
    assert loss.network is again.network
    del loss, again
    gc.collect()
    assert ("vgg13", "random", True) not in FeatureNetwork._alive


def test_only_what_comes_before_the_deepest_wanted_layer_is_run() -> None:
    network = FeatureNetwork("vgg11", "random")
    network.want(["relu2_1"])
    ran: list[int] = []
    for number, layer in enumerate(network.body):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    network(torch.rand(1, 1, 8, 8))
    assert ran == [0, 1, 2, 3, 4]
