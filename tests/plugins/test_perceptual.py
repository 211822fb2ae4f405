"""Feature networks and the losses on them, against NumPy and plain torch in double precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equations import VGG11, array, published_vgg
from gantk import GantkError, Group, Needs, RecipeError, View
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk.translation import Step
from gantk_baselines.discriminators import PatchGan
from gantk_baselines.feature_network import FeatureNetwork
from gantk_baselines.generators import CasNet
from gantk_baselines.perceptual import Content, DiscriminatorFeatures, Perceptual, Style, gram

pytestmark = pytest.mark.usefixtures("kept")

SMALL = [
    "translators.generator.generator.channels=4",
    "translators.generator.discriminator.channels=4",
    "translators.generator.discriminator.layers=1",
]
PGAN = [*SMALL, "translators.generator.generator.blocks=1", "translators.generator.generator.dropout=0.0"]
MEDGAN = [*SMALL, "translators.generator.generator.blocks=2", "translators.generator.generator.levels=2"]


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


# --- what cannot be -----------------------------------------------------------------------------------------------


def test_names_that_do_not_exist() -> None:
    with pytest.raises(RecipeError, match=r"no layer 'relu2_9'.*did you mean 'relu2_"):
        Perceptual(layers=("relu2_9",), **vgg11())
    with pytest.raises(RecipeError, match=r"timm has no network 'vgg61'.*vgg16"):
        Perceptual(network="vgg61", weights="random")
    with pytest.raises(RecipeError, match="only one image size"):
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
