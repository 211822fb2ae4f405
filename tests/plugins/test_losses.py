"""Adversarial, pixelwise and contrastive losses, each against a few lines of NumPy or scikit-image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import convolve2d
from torch import Tensor

from gantk import GantkError, View
from gantk.translation import MapSlot, Step
from gantk_baselines.adversarial import Hinge, Lsgan, Vanilla, WganGp
from gantk_baselines.generators import Resnet
from gantk_baselines.patch_nce import PatchHeads
from gantk_baselines.pixelwise import L1, L2, Ssim

At = Callable[..., View]


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)


def scores(view: View, image: Tensor, source: Tensor | None = None) -> np.ndarray:
    """The discriminator alone, on an image and, where it is conditional, on the source before it."""
    translator = view.step.translators[view.role]
    given = image if source is None else torch.cat([source, image], dim=1)
    return array(translator.discriminator(given))


def binary_cross_entropy(logits: np.ndarray, label: float) -> float:
    """−[l·log p + (1 − l)·log(1 − p)] with p the logistic function of the logit; log p = −log(1 + e^−x)."""
    return float((label * np.logaddexp(0, -logits) + (1 - label) * np.logaddexp(0, logits)).mean())


# name: loss, L_G(fake), L_D(real, fake)
GAMES: dict[str, tuple[type, Callable[..., float], Callable[..., float]]] = {
    "lsgan": (
        Lsgan,
        lambda fake: ((fake - 1) ** 2).mean(),
        lambda real, fake: 0.5 * (((real - 1) ** 2).mean() + (fake**2).mean()),
    ),
    "vanilla": (
        Vanilla,
        lambda fake: binary_cross_entropy(fake, 1),
        lambda real, fake: 0.5 * (binary_cross_entropy(real, 1) + binary_cross_entropy(fake, 0)),
    ),
    "hinge": (
        Hinge,
        lambda fake: -fake.mean(),
        lambda real, fake: np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
    ),
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("conditional", [False, True])
def test_both_sides_of_the_game(at: At, game: str, conditional: bool) -> None:
    cls, generator_loss, discriminator_loss = GAMES[game]
    view = at(loss := cls(), conditional=conditional)
    source = view.source if conditional else None
    fake, real = scores(view, view.output, source), scores(view, view.target, source)
    assert loss(view).item() == pytest.approx(generator_loss(fake), rel=1e-12)
    assert loss.discriminator(view).item() == pytest.approx(discriminator_loss(real, fake), rel=1e-9)


@pytest.mark.parametrize("game", ["lsgan", "vanilla"])
def test_the_discriminators_weight(at: At, game: str) -> None:
    cls = GAMES[game][0]
    halved, full = cls(), cls(discriminator_weight=1.0)
    assert full.discriminator(at(full)).item() == pytest.approx(2 * halved.discriminator(at(halved)).item())
    assert full(at(full)).item() == pytest.approx(halved(at(halved)).item())


@pytest.mark.parametrize("cls", [Lsgan, Vanilla, Hinge, WganGp])
def test_each_side_trains_its_own_network(at: At, cls: type) -> None:
    loss = cls()
    view = at(loss)
    translator = view.step.translators["teacher"]
    loss.discriminator(view).backward()
    assert all(p.grad is None for p in translator.generator.parameters())
    assert all(p.grad is not None and p.grad.any() for p in translator.discriminator.parameters())
    view = at(loss)
    loss(view).backward()
    assert all(p.grad.any() for p in view.step.translators["teacher"].generator.parameters())


@pytest.mark.parametrize("game", GAMES)
def test_with_a_pool_the_discriminator_is_shown_what_the_pool_gives(
    at: At, game: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls, generator_loss, discriminator_loss = GAMES[game]
    view = at(loss := cls(pool=3))
    earlier = torch.rand_like(view.fake)
    monkeypatch.setattr(View, "pooled", lambda self, image: earlier if image is self.fake else None)
    real, shown = scores(view, view.target), scores(view, earlier)
    assert loss.discriminator(view).item() == pytest.approx(discriminator_loss(real, shown), rel=1e-9)
    assert loss(view).item() == pytest.approx(generator_loss(scores(view, view.output)), rel=1e-12)


def test_wgan_gp_with_a_pool(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    view = at(loss := WganGp(penalty=0.0, pool=3))
    earlier = torch.rand_like(view.fake)
    monkeypatch.setattr(View, "pooled", lambda self, image: earlier)
    expected = scores(view, earlier).mean() - scores(view, view.target).mean()
    assert loss.discriminator(view).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("cls", [Lsgan, Vanilla, Hinge, WganGp])
def test_only_a_game_that_wants_a_pool_asks_for_one(cls: type) -> None:
    assert (cls().needs.pool, cls(pool=50).needs.pool) == (0, 50)
    assert cls(pool=50).needs.second_order == (cls is WganGp)


# --- which image is real ---------------------------------------------------------------------------


@pytest.mark.parametrize("conditional", [False, True])
def test_a_real_image_of_another_group_comes_with_its_own_source(at: At, conditional: bool) -> None:
    loss = Lsgan(real="paired.target")
    view = at(loss, role="student", group="unpaired", conditional=conditional, sizes=(3, 2))
    paired = view.step.group("paired")
    real = scores(view, paired.target, paired.source if conditional else None)
    fake = scores(view, view.output, view.source if conditional else None)
    expected = 0.5 * (((real - 1) ** 2).mean() + (fake**2).mean())
    assert loss.discriminator(view).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("conditional", [False, True])
def test_another_roles_output_may_be_real(at: At, conditional: bool) -> None:
    loss = Lsgan(real="teacher.output")
    view = at(loss, role="student", group="unpaired", conditional=conditional)
    source = view.source if conditional else None
    answer = view.step.translators["teacher"].generator(view.source)  # on the student's source
    real, fake = scores(view, answer, source), scores(view, view.output, source)
    expected = 0.5 * (((real - 1) ** 2).mean() + (fake**2).mean())
    value = loss.discriminator(view)
    assert value.item() == pytest.approx(expected, rel=1e-12)
    value.backward()
    assert all(p.grad is None for p in view.step.translators["teacher"].parameters())


# --- WGAN-GP ---------------------------------------------------------------------------------------------


def penalty_by_differences(view: View, between: np.ndarray, source: np.ndarray | None) -> float:
    """E[(‖∇D(x̂)‖ − 1)²], the gradient by central differences, pixel by pixel."""

    def judged(image: np.ndarray, n: int) -> float:
        own = None if source is None else torch.from_numpy(source[n : n + 1])
        return float(scores(view, torch.from_numpy(image[None]), own).sum())

    total = 0.0
    for n, image in enumerate(between):
        gradient = np.empty(image.size)
        for i in range(image.size):
            nudge = np.zeros(image.size)
            nudge[i] = 1e-5
            nudge = nudge.reshape(image.shape)
            gradient[i] = (judged(image + nudge, n) - judged(image - nudge, n)) / 2e-5
        total += (np.linalg.norm(gradient) - 1) ** 2
    return total / len(between)


@pytest.mark.parametrize("conditional", [False, True])
def test_wgan_gp(at: At, conditional: bool) -> None:
    loss = WganGp(penalty=7.0)
    view = at(loss, conditional=conditional)
    source = view.source if conditional else None
    fake, real = scores(view, view.output, source), scores(view, view.target, source)
    assert loss(view).item() == pytest.approx(-fake.mean(), rel=1e-12)
    torch.manual_seed(11)
    value = loss.discriminator(view)
    torch.manual_seed(11)
    place = torch.rand(2, 1, 1, 1).numpy()
    between = place * array(view.target) + (1 - place) * array(view.output)
    penalty = penalty_by_differences(view, between, None if source is None else array(source))
    assert penalty > 0.01
    assert value.item() == pytest.approx(fake.mean() - real.mean() + 7 * penalty, rel=1e-7)


def test_wgan_gp_trains_the_discriminator_through_its_gradient(at: At) -> None:
    loss = WganGp()
    view = at(loss)
    discriminator = view.step.translators["teacher"].discriminator
    torch.manual_seed(11)
    loss.discriminator(view).backward()
    weight = discriminator.layer.weight
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1), dtype=weight.dtype)
    ours = float((weight.grad * direction).sum())
    values = []
    for h in (1e-6, -2e-6):
        weight.data.add_(direction, alpha=h)
        torch.manual_seed(11)
        other = at(loss)
        other.step.translators["teacher"].discriminator.load_state_dict(discriminator.state_dict())
        torch.manual_seed(11)
        values.append(loss.discriminator(other).item())
    assert ours == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6)


def test_wgan_gp_pairs_groups_of_other_sizes(at: At) -> None:
    loss = WganGp(real="paired.target")
    view = at(loss, role="student", group="unpaired", sizes=(3, 2))
    assert loss.discriminator(view).isfinite()


# --- pixelwise ------------------------------------------------------------------------------------------


def ramp(view: View) -> Tensor:
    """A weight map that differs everywhere."""
    height, width = view.source.shape[-2:]
    grid = torch.arange(height * width, dtype=view.source.dtype).view(1, 1, height, width) / 50
    return grid.expand(len(view.source), -1, -1, -1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("cls", "error"), [(L1, np.abs), (L2, np.square)])
def test_l1_and_l2(at: At, cls: type, error: Callable[..., Any], weighted: bool) -> None:
    view = at(cls(), weight_map=ramp if weighted else None)
    weight = array(ramp(view)) if weighted else 1.0
    expected = (weight * error(array(view.target) - array(view.output))).mean()
    assert cls()(view).item() == pytest.approx(expected, rel=1e-12)


def smoothed(image: np.ndarray) -> np.ndarray:
    """A Gaussian window of 5, σ 1.5, over (H, W), border reflected."""
    taps = np.exp(-((np.arange(5) - 2.0) ** 2) / (2 * 1.5**2))
    return convolve2d(np.pad(image, 2, mode="reflect"), np.outer(taps, taps) / taps.sum() ** 2, mode="valid")


def structural_similarity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM of two (H, W) images in [0, 1] at every pixel (Wang et al., 2004)."""
    mean_x, mean_y = smoothed(x), smoothed(y)
    variances = smoothed(x * x) - mean_x**2 + smoothed(y * y) - mean_y**2
    covariance = smoothed(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


@pytest.mark.parametrize("weighted", [False, True])
def test_ssim(at: At, weighted: bool) -> None:
    loss = Ssim(window=5)
    view = at(loss, weight_map=ramp if weighted else None)
    target, output = (array(view.target) + 1) / 2, (array(view.output) + 1) / 2
    similarity = np.stack([structural_similarity(t[0], o[0]) for t, o in zip(target, output, strict=True)])
    weight = array(ramp(view))[:, 0] if weighted else 1.0
    assert loss(view).item() == pytest.approx((weight * (1 - similarity) / 2).mean(), rel=1e-9)


def test_ssim_is_0_for_equal_images_and_grows_with_difference(at: At) -> None:
    loss = Ssim(window=5)
    view = at(loss)
    view.group.target = view.fake
    assert loss(view).item() == pytest.approx(0, abs=1e-6)
    view.group.target = -view.fake
    assert loss(view).item() > 0.3


# --- contrastive ------------------------------------------------------------------------------------------

CUT = [
    "data.crop=[16, 24]",
    "translators.generator.generator={use='resnet', channels=4, blocks=2}",
    "translators.generator.discriminator.channels=4",
    "losses.patchwise.layers=[0, 4, 8]",
    "losses.patchwise.width=8",
]


@pytest.fixture
def contrastive(build: Callable[..., Any], make_group: Callable[..., Any]) -> Callable[..., View]:
    """The view of FastCUT's contrastive term, in float64."""

    def make(*overrides: str, weight_map: Callable[[View], Tensor] | None = None) -> View:
        built = build("fastcut.toml", [*CUT, *overrides], spread=0.3)
        for translator in built.translators.values():
            translator.double()
        group = make_group(2, 1, (16, 24), dtype=torch.float64)
        batch = {"source": replace(group, target=None), "target": replace(group, source=None)}
        term = built.term("patchwise")
        if weight_map is not None:
            built.plan.maps["m"] = MapSlot("m", weight_map)
            term = replace(term, map="m")
        return View(Step(built.translators, built.plan, batch), "generator", "source", term)

    return make


def nce_at_every_place(view: View, mirrored: bool) -> dict[int, np.ndarray]:
    """−log of the positive's share, (N, h, w) by layer, at the places of the translation."""
    generator, head = view.translator.generator, view.head
    with torch.no_grad():
        x = view.source
        queries = generator(generator(x), (0, 4, 8)).features
        keys = generator(x.flip(3) if mirrored else x, (0, 4, 8)).features
    found = {}
    for layer, feature in queries.items():
        key = keys[layer].flip(3) if mirrored else keys[layer]
        n, _, h, w = feature.shape
        q, k = (array(head({layer: f.flatten(2).transpose(1, 2)})[layer]) for f in (feature, key))
        similarity = np.einsum("npc,nrc->npr", q, k) / 0.07
        found[layer] = (np.logaddexp.reduce(similarity, 2) - np.einsum("npp->np", similarity)).reshape(n, h, w)
    return found


EVERY_PLACE = "losses.patchwise.patches=100000"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_patches_are_compared_at_the_same_or_at_mirrored_places(
    contrastive: Callable[..., View], mirrored: bool, weighted: bool
) -> None:
    """A weight map weighs the translation's places, not those of the mirror image."""
    flips = f"losses.patchwise.flip_equivariance={float(mirrored)}"
    view = contrastive(flips, EVERY_PLACE, weight_map=ramp if weighted else None)
    expected = []
    for loss in nce_at_every_place(view, mirrored).values():
        small = F.interpolate(ramp(view), size=loss.shape[-2:], mode="area")[:, 0] if weighted else torch.ones(())
        expected.append((array(small) * loss).mean())
    assert view._term.loss(view).item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_the_mirror_is_taken_as_often_as_asked(contrastive: Callable[..., View]) -> None:
    view = contrastive("losses.patchwise.flip_equivariance=0.25", "losses.patchwise.patches=4")
    runs: list[int] = []
    view.translator.generator.register_forward_pre_hook(lambda *_: runs.append(1))
    torch.manual_seed(0)
    steps, mirrored = 80, 0
    for _ in range(steps):
        fresh = View(Step(view.step.translators, view.step.plan, view.step.batch), "generator", "source", view._term)
        runs.clear()
        view._term.loss(fresh)
        mirrored += len(runs) == 3  # the image, its translation, the mirror image
        assert len(runs) in (2, 3)
    assert 10 <= mirrored <= 30  # 20 expected, standard deviation 4; the seed is fixed


def test_what_answers_is_not_trained_through(contrastive: Callable[..., View]) -> None:
    """Keys carry no gradient, from the mirror image as from the image; queries do, unless roles are exchanged."""
    for flips in (0.0, 1.0):
        view = contrastive(f"losses.patchwise.flip_equivariance={flips}", EVERY_PLACE)
        view.step.detached(view.output)
        loss = view._term.loss
        loss.query = "source"
        (gradient,) = torch.autograd.grad(loss(view), view.output, allow_unused=True)
        assert gradient is None  # the output only answers
        loss.query = "output"
        (gradient,) = torch.autograd.grad(loss(view), view.output, allow_unused=True)
        assert gradient is not None
        assert gradient.any()


def test_a_map_of_the_source_cannot_weigh_another_image(contrastive: Callable[..., View]) -> None:
    view = contrastive("losses.patchwise.image='target.target'", weight_map=ramp)
    with pytest.raises(GantkError, match=r"cannot weigh a contrastive term on 'target\.target'"):
        view._term.loss(view)


def test_cuts_two_terms_share_their_heads(build: Callable[..., Any]) -> None:
    built = build("cut.toml", ["translators.generator.generator.channels=4"])
    assert built.term("patchwise").head == built.term("patchwise_identity").head
    assert list(built.translators["generator"].heads) == ["patch_nce"]


@pytest.mark.parametrize(("inputs", "expected"), [(3, 560_384), (1, 559_872)])
def test_published_size_of_the_projection_heads(inputs: int, expected: int) -> None:
    generator = Resnet(inputs, 1).eval()
    with torch.no_grad():
        features = generator(torch.zeros(1, inputs, 8, 8), (0, 4, 8, 12, 16), decode=False).features
    heads = PatchHeads({layer: feature.shape[1] for layer, feature in features.items()}, 256)
    assert sum(p.numel() for p in heads.parameters()) == expected


def test_projections_have_unit_length() -> None:
    torch.manual_seed(0)
    projected = PatchHeads({0: 3, 4: 8}, 16)({0: 1e3 * torch.randn(2, 5, 3), 4: 1e3 * torch.randn(2, 7, 8)})
    assert {layer: tuple(z.shape) for layer, z in projected.items()} == {0: (2, 5, 16), 4: (2, 7, 16)}
    for z in projected.values():
        torch.testing.assert_close(z.norm(dim=-1), torch.ones(z.shape[:2]), rtol=0, atol=1e-4)


def test_projections_are_single_precision_under_autocast() -> None:
    heads = PatchHeads({0: 3}, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert heads({0: torch.randn(1, 4, 3)})[0].dtype == torch.float32
