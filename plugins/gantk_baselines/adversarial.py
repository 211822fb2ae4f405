"""Adversarial losses: each component has both sides, generator and discriminator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from gantk import Count, ImageRef, Needs, NonNegative, Positive, View, to_device
from gantk_baselines.dimensional import beside, everything

__all__ = ["R1", "Hinge", "Lsgan", "Vanilla", "WganGp"]

Pool = Annotated[int, Field(ge=0, le=10_000)]
"""Number of past outputs kept in memory and in every checkpoint; 0 for none."""


class _Game:
    """The common part of adversarial losses: the real image, and the translated images for the discriminator.

    For a discriminator with several scales, the loss is the mean over the scales.
    """

    def __init__(self, real: ImageRef, pool: int, second_order: bool = False) -> None:
        self.needs = Needs(second_order=second_order, pool=pool)
        self.real = real
        self.pool = pool

    def fake(self, view: View) -> Tensor:
        """The translated images for the discriminator's update: this step's, or some of earlier steps from the pool."""
        return view.pooled(view.fake) if self.pool else view.fake


def _mean(loss: Callable[[Tensor], Tensor], scales: Sequence[Tensor]) -> Tensor:
    """The mean over scales of the mean over a map."""
    return torch.stack([loss(scores).mean() for scores in scales]).mean()


class Lsgan(_Game):
    """Least-squares GAN: scores of real images to 1, of translated ones to 0; means over the map.

    L_D = ω·(E[(D(y) − 1)²] + E[D(G(x))²]), L_G = E[(D(G(x)) − 1)²] (Mao et al., 2017).

    Args:
        real: the image that the discriminator learns to judge as real.
        discriminator_weight: ω, factor on the discriminator's loss; the published codes halve it.
        pool: how many translated images of earlier steps are kept to train the discriminator on (CycleGAN: 50).
    """

    def __init__(
        self, real: ImageRef = ImageRef("target"), discriminator_weight: Positive = 0.5, pool: Pool = 0
    ) -> None:
        super().__init__(real, pool)
        self.discriminator_weight = discriminator_weight

    def __call__(self, view: View) -> Tensor:
        return self._to(view.judge_scales(), 1.0)

    def discriminator(self, view: View) -> Tensor:
        real, fake = view.judge_scales(self.real), view.judge_scales(self.fake(view))
        return self.discriminator_weight * (self._to(real, 1.0) + self._to(fake, 0.0))

    @staticmethod
    def _to(scales: Sequence[Tensor], label: float) -> Tensor:
        return _mean(lambda scores: (scores - label).square(), scales)


class Vanilla(_Game):
    """The original GAN, non-saturating: cross-entropy of logits to 1 (real), 0 (translated) (Goodfellow et al., 2014).

    Args:
        real: the image that the discriminator learns to judge as real.
        discriminator_weight: factor on the discriminator's loss; the published codes halve it.
        pool: how many translated images of earlier steps are kept to train the discriminator on.
    """

    def __init__(
        self, real: ImageRef = ImageRef("target"), discriminator_weight: Positive = 0.5, pool: Pool = 0
    ) -> None:
        super().__init__(real, pool)
        self.discriminator_weight = discriminator_weight

    def __call__(self, view: View) -> Tensor:
        return _mean(lambda scores: F.softplus(-scores), view.judge_scales())

    def discriminator(self, view: View) -> Tensor:
        real = _mean(lambda scores: F.softplus(-scores), view.judge_scales(self.real))
        return self.discriminator_weight * (real + _mean(F.softplus, view.judge_scales(self.fake(view))))


class Hinge(_Game):
    """Hinge GAN: L_D = E[max(0, 1 − D(y))] + E[max(0, 1 + D(G(x)))], L_G = −E[D(G(x))] (Lim & Ye, 2017).

    Args:
        real: the image that the discriminator learns to judge as real.
        pool: how many translated images of earlier steps are kept to train the discriminator on.
    """

    def __init__(self, real: ImageRef = ImageRef("target"), pool: Pool = 0) -> None:
        super().__init__(real, pool)

    def __call__(self, view: View) -> Tensor:
        return -_mean(torch.clone, view.judge_scales())

    def discriminator(self, view: View) -> Tensor:
        real = _mean(lambda scores: F.relu(1 - scores), view.judge_scales(self.real))
        return real + _mean(lambda scores: F.relu(1 + scores), view.judge_scales(self.fake(view)))


class WganGp(_Game):
    """WGAN with gradient penalty: L_D = E[D(G(x))] − E[D(y)] + λ·E[(‖∇D(x̂)‖₂ − 1)²] (Gulrajani et al., 2017).

    x̂ lies between a real and a translated image at a random place, one per sample; the penalty runs in fp32.

    Args:
        real: the image that the discriminator learns to judge as real.
        penalty: λ, weight of the gradient penalty.
        pool: how many translated images of earlier steps are kept to train the discriminator on.
    """

    def __init__(self, real: ImageRef = ImageRef("target"), penalty: NonNegative = 10.0, pool: Pool = 0) -> None:
        super().__init__(real, pool, second_order=True)
        self.penalty = penalty

    def __call__(self, view: View) -> Tensor:
        return -view.judge().mean()

    def discriminator(self, view: View) -> Tensor:
        real, fake = view.image(self.real), self.fake(view)
        wasserstein = view.judge(fake).mean() - view.judge_image(self.real).mean()
        pairs = min(len(real), len(fake))
        place = to_device(beside(torch.rand(pairs), fake), fake.device)
        between = (place * real[:pairs] + (1 - place) * fake[:pairs]).requires_grad_(True)
        scores = view.judge(between, source=view.source[:pairs], full_precision=True)
        (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        norm = (gradient.flatten(1).square().sum(1) + 1e-16).sqrt()
        return wasserstein + self.penalty * (norm - 1).square().mean()


class R1:
    """R1, a penalty for use with any adversarial term: n·γ/2·E[‖∇D(y)‖²] in every n-th step, discriminator only.

    Sources: Mescheder et al., "Which training methods for GANs do actually converge?", ICML 2018; every n-th step:
    Karras et al., StyleGAN2, CVPR 2020.

    Args:
        real: y, the real image.
        gamma: γ, weight of the penalty.
        every: n, number of steps from one computation of the penalty to the next.
    """

    needs = Needs(output=False, second_order=True)

    def __init__(self, real: ImageRef = ImageRef("target"), gamma: Positive = 10.0, every: Count = 16) -> None:
        self.real, self.gamma, self.every = real, gamma, every

    def discriminator(self, view: View) -> Tensor | None:
        if view.moment.step % self.every:
            return None
        real = view.image(self.real).detach().requires_grad_()
        source = view.source[: len(real)] if view.translator.conditional else None
        scales = view.judge_scales(real, source=source, full_precision=True)
        total = torch.stack([scores.sum() for scores in scales]).sum()
        (slope,) = torch.autograd.grad(total, real, create_graph=True)
        return self.every * self.gamma / 2 * slope.square().sum(everything(slope)).mean()
