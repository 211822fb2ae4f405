"""Adversarial losses, each against a few lines of NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from equations import array
from gantk import View
from gantk_baselines.adversarial import Hinge, Lsgan, Vanilla, WganGp

At = Callable[..., View]


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
