"""Adversarial losses: one component has both sides, generator and discriminator."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from gantk import ImageRef, Needs, NonNegative, Positive, View

__all__ = ["Hinge", "Lsgan", "Vanilla", "WganGp"]

Pool = Annotated[int, Field(ge=0, le=10_000)]
"""Number of past outputs kept in memory and in every checkpoint; 0 for none."""


class _Game:
    """The common part of adversarial losses: the real image, and the translated images for the discriminator."""

    def __init__(self, real: ImageRef, pool: int, second_order: bool = False) -> None:
        self.needs = Needs(second_order=second_order, pool=pool)
        self.real = real
        self.pool = pool

    def fake(self, view: View) -> Tensor:
        """The translated images for the discriminator's update: this step's, or some of earlier steps from the pool."""
        return view.pooled(view.fake) if self.pool else view.fake


class Lsgan(_Game):
    """Least-squares GAN: scores of real images to 1, of translated ones to 0; means over the map.

    L_D = ω·(E[(D(y) − 1)²] + E[D(G(x))²]), L_G = E[(D(G(x)) − 1)²] (Mao et al., 2017).

    Args:
        real: the image that the discriminator takes for real.
        discriminator_weight: ω; the published codes halve the discriminator's loss.
        pool: how many translated images of earlier steps are kept to train the discriminator on (CycleGAN: 50).
    """

    def __init__(
        self, real: ImageRef = ImageRef("target"), discriminator_weight: Positive = 0.5, pool: Pool = 0
    ) -> None:
        super().__init__(real, pool)
        self.discriminator_weight = discriminator_weight

    def __call__(self, view: View) -> Tensor:
        return self._to(view.judge(), 1.0)

    def discriminator(self, view: View) -> Tensor:
        real, fake = view.judge_image(self.real), view.judge(self.fake(view))
        return self.discriminator_weight * (self._to(real, 1.0) + self._to(fake, 0.0))

    @staticmethod
    def _to(scores: Tensor, label: float) -> Tensor:
        return (scores - label).square().mean()


class Vanilla(_Game):
    """The original GAN, non-saturating: cross-entropy of logits to 1 (real), 0 (translated) (Goodfellow et al., 2014).

    Args:
        real: the image that the discriminator takes for real.
        discriminator_weight: factor on the discriminator's loss; the published codes halve it.
        pool: how many translated images of earlier steps are kept to train the discriminator on.
    """

    def __init__(
        self, real: ImageRef = ImageRef("target"), discriminator_weight: Positive = 0.5, pool: Pool = 0
    ) -> None:
        super().__init__(real, pool)
        self.discriminator_weight = discriminator_weight

    def __call__(self, view: View) -> Tensor:
        return F.softplus(-view.judge()).mean()

    def discriminator(self, view: View) -> Tensor:
        real, fake = view.judge_image(self.real), view.judge(self.fake(view))
        return self.discriminator_weight * (F.softplus(-real).mean() + F.softplus(fake).mean())


class Hinge(_Game):
    """Hinge GAN: L_D = E[max(0, 1 − D(y))] + E[max(0, 1 + D(G(x)))], L_G = −E[D(G(x))] (Lim & Ye, 2017).

    Args:
        real: the image that the discriminator takes for real.
        pool: how many translated images of earlier steps are kept to train the discriminator on.
    """

    def __init__(self, real: ImageRef = ImageRef("target"), pool: Pool = 0) -> None:
        super().__init__(real, pool)

    def __call__(self, view: View) -> Tensor:
        return -view.judge().mean()

    def discriminator(self, view: View) -> Tensor:
        return F.relu(1 - view.judge_image(self.real)).mean() + F.relu(1 + view.judge(self.fake(view))).mean()


class WganGp(_Game):
    """WGAN with gradient penalty: L_D = E[D(G(x))] − E[D(y)] + λ·E[(‖∇D(x̂)‖₂ − 1)²] (Gulrajani et al., 2017).

    x̂ lies between a real and a translated image at a random place, one per sample; the penalty runs in fp32.

    Args:
        real: the image that the discriminator takes for real.
        penalty: λ.
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
        place = torch.rand(pairs, 1, 1, 1).to(fake.device)
        between = (place * real[:pairs] + (1 - place) * fake[:pairs]).requires_grad_(True)
        scores = view.judge(between, source=view.source[:pairs], full_precision=True)
        (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        norm = (gradient.flatten(1).square().sum(1) + 1e-16).sqrt()
        return wasserstein + self.penalty * (norm - 1).square().mean()
