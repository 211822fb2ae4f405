"""Feature networks and the losses on them, against NumPy and plain torch in double precision."""

from __future__ import annotations

import gc
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gantk import GantkError, Group, Judgement, Needs, RecipeError, View
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Step
from gantk_baselines.discriminators import PatchGan
from gantk_baselines.feature_network import FeatureNetwork
from gantk_baselines.generators import CasNet
from gantk_baselines.perceptual import Content, DiscriminatorFeatures, Perceptual, Style, gram

VGG11 = [[64], [128], [256, 256]]  # its first three blocks
VGG16 = [[64, 64], [128, 128], [256] * 3, [512] * 3, [512] * 3]
# as single precision holds them
MEAN, STD = np.float32([0.485, 0.456, 0.406]).astype(float), np.float32([0.229, 0.224, 0.225]).astype(float)

SMALL = [
    "translators.generator.generator.channels=4",
    "translators.generator.discriminator.channels=4",
    "translators.generator.discriminator.layers=1",
]
PGAN = [*SMALL, "translators.generator.generator.blocks=1", "translators.generator.generator.dropout=0.0"]
MEDGAN = [*SMALL, "translators.generator.generator.blocks=2", "translators.generator.generator.levels=2"]


@pytest.fixture(scope="module", autouse=True)
def kept() -> Iterator[FeatureNetwork]:
    """The random VGG-11, alive for the whole module, so that it is drawn once."""
    network = FeatureNetwork.shared("vgg11", "random", True)
    yield network
    del network
    gc.collect()


vgg11 = partial(dict, network="vgg11", weights="random")


@pytest.fixture
def at(build: Callable[..., Any], make_group: Callable[..., Group]) -> Callable[..., View]:
    """The view of the terms of a small pGAN, in double precision, in a step over slices of 16×24."""

    def make(weight_map: bool = False, size: int = 2, spread: float = 0.3, recipe: str = "pgan.toml") -> View:
        overrides = PGAN if recipe == "pgan.toml" else MEDGAN
        if weight_map:
            overrides = [*overrides, 'maps.m.use="foreground"', "maps.m.outside=0.25", 'losses.pixelwise.map="m"']
        built = build(recipe, overrides, spread=spread)
        for translator in built.translators.values():
            translator.double()
        channels = next(iter(built.translators.values())).takes.size
        batch = {"paired": make_group(size, channels, (16, 24), seed=3, dtype=torch.float64)}
        term = replace(built.term("pixelwise"), needs=Needs(target=True, judged=(1, 4)))
        return View(Step(built.translators, built.plan, batch), "generator", "paired", term)

    return make


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)


def published_vgg(state: dict[str, Tensor], plan: list[list[int]], image: Tensor, normalise: bool) -> dict[str, Tensor]:
    """VGG as its paper writes it: blocks of 3×3 convolutions with ReLU, 2×2 maxima between them."""
    x = image.repeat(1, 3, 1, 1)
    if normalise:
        x = torch.stack([((x[:, i] + 1) / 2 - MEAN[i]) / STD[i] for i in range(3)], dim=1)
    number, found = 0, {}
    for block, widths in enumerate(plan, start=1):
        for j in range(1, len(widths) + 1):
            x = F.conv2d(x, state[f"{number}.weight"].double(), state[f"{number}.bias"].double(), padding=1)
            found[f"conv{block}_{j}"] = x
            x = x.clamp(min=0)
            found[f"relu{block}_{j}"] = x
            number += 2
        x = F.max_pool2d(x, 2)
        found[f"pool{block}"] = x
        number += 1
    return found


def reference(loss: Any, image: Tensor) -> dict[str, np.ndarray]:
    """The features of an image by layer, from the weights of the loss's network alone."""
    network = loss.network
    with torch.no_grad():
        found = published_vgg(network.body.state_dict(), VGG11, image, network.imagenet_normalisation)
    return {name: array(feature) for name, feature in found.items()}


@contextmanager
def counted(cls: type[nn.Module]) -> Iterator[Counter[str]]:
    """Counts forward passes of a class."""
    passes: Counter[str] = Counter()
    plain = cls.forward

    def forward(self: nn.Module, *arguments: Any, **named: Any) -> Any:
        passes["all"] += 1
        return plain(self, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cls, "forward", forward)
        yield passes


# --- the network ----------------------------------------------------------------------------------------------


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


# --- weights ----------------------------------------------------------------------------------------------------


def full_state(network: FeatureNetwork) -> dict[str, Tensor]:
    """As a file of a whole classifier holds it."""
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
    for way in ("timm.create_model('resnet10t', pretrained=True)", 'weights = "path"', 'weights = "random"'):
        assert way in said
    # what needs no download is built all the same
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


# --- what cannot be -----------------------------------------------------------------------------------------------


def test_names_that_do_not_exist() -> None:
    with pytest.raises(RecipeError, match=r"no layer 'relu2_9'.*did you mean 'relu2_"):
        Perceptual(layers=("relu2_9",), **vgg11())
    with pytest.raises(RecipeError, match=r"timm knows no network 'vgg61'.*vgg16"):
        Perceptual(network="vgg61", weights="random")
    with pytest.raises(RecipeError, match="images of one size"):
        Perceptual(network="vit_tiny_patch16_224", weights="random")
    network = FeatureNetwork.shared("vgg11", "random", False)
    network.want(["relu5_1"])
    with pytest.raises(GantkError, match=r"14×40 pixels.*relu5_1.*at least 16"):
        network(torch.zeros(1, 1, 14, 40))
    with pytest.raises(RecipeError, match="2 layer weights are given for 1 layers"):
        Style(layers=("relu1_1",), layer_weights=(1.0, 2.0), **vgg11())
    with pytest.raises(RecipeError, match="1 layer weights are given for 4 layers"):
        DiscriminatorFeatures(layer_weights=(1.0,))


# --- the equations ------------------------------------------------------------------------------------------------


def weighting(view: View, shape: tuple[int, ...]) -> np.ndarray:
    """The foreground map at a feature's size: the mean over each cell, as sums of pixels."""
    inside = (array(view.source) > -1).any(axis=1, keepdims=True)
    m = np.where(inside, 1.0, 0.25)
    b, _, height, width = m.shape
    h, w = shape[-2:]
    return m.reshape(b, 1, h, height // h, w, width // w).mean(axis=(3, 5))


@pytest.mark.parametrize("distance", ["l1", "l2"])
@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("size", [1, 2])
def test_perceptual(at: Callable[..., View], distance: str, mapped: bool, size: int) -> None:
    loss = Perceptual(("relu1_1", "relu2_1"), (0.5, 3.0), distance, **vgg11(imagenet_normalisation=False))
    view = at(mapped, size)
    output, target = reference(loss, view.output), reference(loss, view.target)
    expected = 0.0
    for layer, factor in (("relu1_1", 0.5), ("relu2_1", 3.0)):
        error = target[layer] - output[layer]
        error = np.abs(error) if distance == "l1" else error**2
        expected += factor * (error * (weighting(view, error.shape) if mapped else 1)).mean()
    assert loss(view).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("size", [1, 3])
def test_content(at: Callable[..., View], size: int) -> None:
    loss = Content(("conv2_1", "relu3_1"), **vgg11())
    view = at(size=size)
    output, target = reference(loss, view.output), reference(loss, view.target)
    expected = 0.0
    for layer in ("conv2_1", "relu3_1"):
        b, c, h, w = output[layer].shape
        expected += sum(np.linalg.norm(target[layer][n] - output[layer][n]) ** 2 / (c * h * w) for n in range(b)) / b
    assert loss(view).item() == pytest.approx(expected, rel=1e-10)


def numpy_gram(feature: np.ndarray, m: np.ndarray | None = None) -> np.ndarray:
    """Σ over places of the products of channels, one image after the other."""
    b, c, h, w = feature.shape
    found = np.zeros((b, c, c))
    for n in range(b):
        for y in range(h):
            for x in range(w):
                f = feature[n, :, y, x]
                found[n] += np.outer(f, f) * (1 if m is None else m[n, 0, y, x])
    return found / (c * h * w)


@pytest.mark.parametrize("mapped", [False, True])
def test_gram(mapped: bool) -> None:
    random = np.random.default_rng(0)
    feature = random.normal(size=(2, 3, 4, 5))
    m = random.uniform(size=(2, 1, 4, 5)) if mapped else None
    found = gram(torch.from_numpy(feature), None if m is None else torch.from_numpy(m))
    np.testing.assert_allclose(array(found), numpy_gram(feature, m), rtol=1e-12)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("size", [1, 2])
def test_style(at: Callable[..., View], mapped: bool, size: int) -> None:
    loss = Style(("relu1_1", "relu3_1"), (1.0, 0.2), **vgg11())
    view = at(mapped, size)
    output, target = reference(loss, view.output), reference(loss, view.target)
    expected = 0.0
    for layer, factor in (("relu1_1", 1.0), ("relu3_1", 0.2)):
        m = weighting(view, output[layer].shape) if mapped else None
        difference = numpy_gram(target[layer], m) - numpy_gram(output[layer], m)
        c = difference.shape[-1]
        expected += factor * np.mean([np.linalg.norm(d, "fro") ** 2 / (4 * c**2) for d in difference])
    assert loss(view).item() == pytest.approx(expected, rel=1e-10)


def test_a_gram_matrix_does_not_know_where() -> None:
    feature = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    places = torch.randperm(20)
    shuffled = feature.flatten(2)[..., places].view_as(feature)
    assert torch.allclose(gram(shuffled), gram(feature), rtol=1e-12)
    assert not torch.allclose(gram(feature + 1), gram(feature), rtol=1e-2)


# --- gradients --------------------------------------------------------------------------------------------------


def test_the_generators_gradient_is_that_of_the_definition(at: Callable[..., View]) -> None:
    loss = Perceptual(("relu1_1", "relu2_1"), **vgg11())
    view = at(spread=0.1)
    image = view.output
    parameters = list(view.translator.generator.parameters())
    found = torch.autograd.grad(loss(view), parameters, retain_graph=True)

    state = loss.network.body.state_dict()
    features = published_vgg(state, VGG11, image, True)
    with torch.no_grad():
        wanted = published_vgg(state, VGG11, view.target, True)
    expected = sum(((features[layer] - wanted[layer]).abs().mean() for layer in loss.layers), torch.zeros(()).double())
    for ours, theirs in zip(found, torch.autograd.grad(expected, parameters), strict=True):
        assert (ours - theirs).norm() <= 1e-9 * theirs.norm() + 1e-15


@pytest.mark.parametrize("cls", [Perceptual, Style, Content])
def test_the_generator_is_trained_and_the_network_frozen(at: Callable[..., View], cls: type) -> None:
    loss = cls(layers=("relu1_1", "relu2_1"), **vgg11())
    view = at()
    view.group.target.requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in loss.network.state_dict().items()}
    loss(view).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in view.translator.generator.parameters())
    assert all(p.grad is None and not p.requires_grad for p in loss.network.parameters())
    assert view.target.grad is None
    assert all(torch.equal(before[name], tensor) for name, tensor in loss.network.state_dict().items())


# --- sharing ----------------------------------------------------------------------------------------------------


def test_three_terms_share_one_network_and_one_pass_per_image(at: Callable[..., View]) -> None:
    losses = [
        Perceptual(("relu2_1",), **vgg11()),
        Style(("relu1_1", "relu3_1"), **vgg11()),
        Content(("relu3_2",), **vgg11()),
    ]
    view = at()
    with counted(FeatureNetwork) as passes:
        for loss in losses:
            loss(view)
    assert passes["all"] == 2  # the output and the target
    assert len({id(loss.network) for loss in losses}) == 1
    with counted(FeatureNetwork) as passes:
        Perceptual(("relu1_1",), **vgg11(imagenet_normalisation=False))(view)
    assert passes["all"] == 2  # other features: not the same network


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


def test_bf16_features_come_in_single_precision(at: Callable[..., View]) -> None:
    view = at()
    for translator in view.step.translators.values():
        translator.float()
    group = view.group
    group.source, group.target = group.source.float(), group.target.float()
    exact = Perceptual(("relu2_1",), **vgg11())(view)
    view.step._derived.clear()
    view.step.autocast = lambda: torch.autocast("cpu", torch.bfloat16)
    loss = Perceptual(("relu2_1",), **vgg11())
    features = loss.network.of(view, view.output)["relu2_1"]
    assert features.dtype == torch.float32
    assert torch.equal(features, features.bfloat16().float())  # computed in bf16
    assert loss(view).item() == pytest.approx(exact.item(), rel=0.05)


# --- features of the discriminator ------------------------------------------------------------------------------


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("size", [1, 2])
def test_discriminator_features(at: Callable[..., View], mapped: bool, size: int) -> None:
    view = at(mapped, size, recipe="medgan.toml")
    d = view.translator.discriminator.eval()  # no power iteration between the judgements
    found = DiscriminatorFeatures((1, 4), (2.0, 0.5))(view)
    expected = 0.0
    for layer, factor in ((1, 2.0), (4, 0.5)):
        ran = d.layers[: layer + 1]
        y, g = (ran(torch.cat([view.source, image], dim=1)) for image in (view.target, view.output))
        error = np.abs(array(y) - array(g))
        if mapped:
            error = error * array(F.interpolate(view.weight, size=error.shape[-2:], mode="area"))
        expected += factor * error.mean()
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_discriminator_features_train_the_generator_and_share_the_adversarial_pass(at: Callable[..., View]) -> None:
    view = at(recipe="medgan.toml")
    d = view.translator.discriminator.requires_grad_(False)  # as in the generator's update
    with counted(PatchGan) as passes:
        loss = DiscriminatorFeatures((1, 4))(view) + view.judge().mean()
    assert passes["all"] == 2
    loss.backward()
    assert all(p.grad is not None for p in view.translator.generator.parameters())
    assert all(p.grad is None for p in d.parameters())


def test_patchgan_features_are_those_of_its_layers() -> None:
    torch.manual_seed(0)
    network = PatchGan(2, channels=4, layers=2).eval()
    image = torch.rand(1, 2, 24, 32)
    scores = network(image)
    judgement = network(image, tuple(range(len(network.layers))))
    assert isinstance(judgement, Judgement)
    assert isinstance(scores, Tensor)
    assert torch.equal(judgement.scores, scores)
    assert torch.equal(judgement.features[len(network.layers) - 1], scores)
    x = image
    for number, layer in enumerate(network.layers):
        x = layer(x)
        assert torch.equal(judgement.features[number], x), number
    kinds = {0: nn.Conv2d, 1: nn.LeakyReLU, 2: nn.Conv2d, 4: nn.LeakyReLU, 7: nn.LeakyReLU, 8: nn.Conv2d}
    assert all(isinstance(network.layers[n], kind) for n, kind in kinds.items())
    with pytest.raises(GantkError, match="layer 9 does not exist"):
        network(image, (9,))


# --- spectral norm ------------------------------------------------------------------------------------------------


def largest(weight: Tensor) -> float:
    return float(np.linalg.svd(array(weight).reshape(weight.shape[0], -1), compute_uv=False)[0])


def convolutions(network: PatchGan) -> list[nn.Conv2d]:
    return [layer for layer in network.layers if isinstance(layer, nn.Conv2d)]


def test_spectral_norm_divides_by_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    plain = PatchGan(2, channels=4, layers=2)
    torch.manual_seed(0)
    network = PatchGan(2, channels=4, layers=2, spectral=True)
    image = torch.rand(2, 2, 24, 32)
    for _ in range(60):
        network(image)
    network.eval()
    for ours, theirs in zip(convolutions(network), convolutions(plain), strict=True):
        assert largest(theirs.weight) != pytest.approx(1, abs=0.05)
        assert largest(ours.weight) == pytest.approx(1, rel=1e-3)
        expected = array(theirs.weight) / largest(theirs.weight)
        np.testing.assert_allclose(array(ours.weight), expected, rtol=2e-3, atol=1e-5)


def test_spectral_norm_keeps_the_number_of_parameters() -> None:
    def count(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    with torch.device("meta"):
        assert count(PatchGan(3, spectral=True)) == count(PatchGan(3)) == 2_764_737


def test_spectral_norm_survives_a_checkpoint(tmp_path: Path) -> None:
    network, other = (PatchGan(1, channels=4, layers=1, spectral=True) for _ in range(2))
    image = torch.rand(1, 1, 16, 24)
    network(image)  # one power iteration: the state is more than the weights
    save_file(network.state_dict(), tmp_path / "d.safetensors")
    other.load_state_dict(load_file(tmp_path / "d.safetensors"))
    for _ in range(2):  # and it goes on alike, in training too
        assert torch.equal(network(image), other(image))
    assert torch.equal(network.eval()(image), other.eval()(image))


def test_spectral_norm_in_bf16() -> None:
    torch.manual_seed(0)
    network = PatchGan(1, channels=4, layers=1, spectral=True)
    image = torch.rand(2, 1, 16, 24)
    with torch.autocast("cpu", torch.bfloat16):
        scores = network(image)
    scores.float().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    exact = network.eval()(image)
    assert torch.allclose(scores.float(), exact, atol=0.05 * exact.abs().max().item() + 1e-3)


# --- the recipes --------------------------------------------------------------------------------------------------


def train(built: Any, batch: dict[str, Group], steps: int) -> list[dict[str, float]]:
    optimizers = {role: Optimizers(t, built.assembly.optimizers[role]) for role, t in built.translators.items()}
    updater = Updater(built.translators, optimizers, built.plan, built.recipe.training, nullcontext)
    return [updater.step([batch], dict.fromkeys(built.translators, 1.0)) for _ in range(steps)]


@pytest.mark.parametrize("size", [1, 2])
def test_pgan_trains(build: Callable[..., Any], make_group: Callable[..., Group], size: int) -> None:
    built = build("pgan.toml", PGAN)
    translator = built.translators["generator"]
    assert translator.takes.size == 9  # three slices of three contrasts
    assert translator.discriminator.in_channels == 10
    weights = {"pixelwise": 100, "perceptual": 100, "adversarial": 1}
    assert {term.name: term.weight for term in built.plan.terms} == weights
    assert built.term("perceptual").loss.layers == ("relu2_2",)
    checkpoint = {tensor.data_ptr() for tensor in translator.state_dict().values()}
    assert not checkpoint & {p.data_ptr() for p in built.term("perceptual").loss.network.parameters()}
    with counted(FeatureNetwork) as passes:
        losses = train(built, {"paired": make_group(size, 9, (16, 24))}, 2)
    assert passes["all"] == 4  # output and target, each once a step
    assert set(losses[0]) == {f"generator/{name}" for name in weights} | {"generator/adversarial (D)"}
    assert losses[1]["generator/perceptual"] != losses[0]["generator/perceptual"]


def test_pgan_as_published(build: Callable[..., Any]) -> None:
    built = build(
        "pgan.toml",
        [
            "translators.generator.generator.channels=64",
            "translators.generator.discriminator.channels=64",
            "translators.generator.discriminator.layers=3",
            'data.inputs=["t1"]',
        ],
    )
    translator = built.translators["generator"]
    assert sum(p.numel() for p in translator.generator.parameters()) == 11_371_905
    assert sum(p.numel() for p in translator.discriminator.parameters()) == 2_765_761
    assert sum(isinstance(m, nn.Dropout) and m.p == 0.5 for m in translator.generator.modules()) == 9


@pytest.mark.parametrize("size", [1, 2])
def test_medgan_trains(build: Callable[..., Any], make_group: Callable[..., Group], size: int) -> None:
    built = build("medgan.toml", MEDGAN)
    weights = {"adversarial": 1, "pixelwise": 20, "perceptual": 20, "style": 1e-4, "content": 1e-4}
    assert {term.name: term.weight for term in built.plan.terms} == weights
    with counted(FeatureNetwork) as passes, counted(PatchGan) as judgements, counted(CasNet) as made:
        losses = train(built, {"paired": make_group(size, 3, (16, 24))}, 2)
    assert passes["all"] == 2 * 3 * 2  # style and content share a pass; output and target, for three updates, twice
    # the generator's updates judge output and target, the discriminator's too
    assert judgements["all"] == 2 * (3 + 1) * 2
    assert made["all"] == 2 * 3
    assert all(np.isfinite(value) for step in losses for value in step.values())
    assert set(losses[0]) == {f"generator/{name}" for name in weights} | {"generator/adversarial (D)"}
