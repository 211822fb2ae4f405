"""Augmentation of discriminators' images: differentiable random changes of real and translated images."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Count, Fraction, to_device
from gantk_baselines.dimensional import beside, everything

__all__ = ["AdaptiveAugment", "DiffAugment"]

BACKGROUND = -1.0


class DiffAugment(nn.Module):
    """Differentiable augmentation: brightness and contrast, a shift, and cutout of a square (a cube in volumes).

    Source: Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020 (shift 1/8, cutout
    1/2); without saturation, which gray images do not have.

    Args:
        color: whether brightness and contrast change.
        shift: largest shift, as a fraction of each side; 0 for none.
        cutout: side of the square, as a fraction of each side; 0 for none.
    """

    def __init__(self, color: bool = True, shift: Fraction = 0.125, cutout: Fraction = 0.5) -> None:
        super().__init__()
        self.color, self.shift, self.cutout = color, shift, cutout

    def forward(self, image: Tensor) -> Tensor:
        every = torch.ones(len(image), dtype=torch.bool)
        if self.color:
            image = _colored(image, every, 0.5, 0.5)
        if self.shift:
            image = _posed(image, every, 0.0, 0.0, self.shift)
        return _cut(image, self.cutout) if self.cutout else image


class AdaptiveAugment(nn.Module):
    """ADA: each change has the probability p, which rises while the discriminator is too certain about real images.

    The changes are flip, rotation (in volumes, in the plane of slices), size and shift, brightness and contrast. p
    rises if r = E[sign D(y)] over the last real images is above the target, and falls if r is below it. Source: Karras
    et al., "Training generative adversarial networks with limited data", NeurIPS 2020 (target 0.6; p from 0 to 1 over
    500 000 images).

    Args:
        target: target value of r.
        images: number of real images in which p can rise from 0 to 1.
        limit: largest value of p.
        every: number of discriminator passes on real images between two changes of p.
    """

    probability: Tensor
    signs: Tensor

    def __init__(
        self, target: Fraction = 0.6, images: Count = 500_000, limit: Fraction = 0.8, every: Count = 4
    ) -> None:
        super().__init__()
        self.target, self.images, self.limit, self.every = target, images, limit, every
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(3))  # sum of signs, their number, and that of judgments

    def forward(self, image: Tensor) -> Tensor:
        probability = self.probability.item()

        def chosen() -> Tensor:
            return torch.rand(len(image)) < probability

        flipped = to_device(beside(chosen(), image), image.device)
        image = torch.where(flipped, image.flip(-1), image)
        image = _posed(image, chosen(), math.pi, 0.2, 0.125)
        return _colored(image, chosen(), 0.2, 0.5)

    @torch.no_grad()
    def observe(self, scores: Tensor, images: int) -> None:
        """Observe the scores of real images.

        Args:
            scores: of any shape.
            images: number of images.
        """
        self.signs += torch.stack([scores.sign().mean() * images, scores.new_tensor(images), scores.new_ones(())])
        if self.signs[2] >= self.every:
            sign, count, _ = self.signs.tolist()
            step = math.copysign(count / self.images, sign / count - self.target)
            self.probability.add_(step).clamp_(0, self.limit)
            self.signs.zero_()


def _colored(image: Tensor, chosen: Tensor, brightness: float, contrast: float) -> Tensor:
    """Changed brightness and contrast of the foreground, for the chosen images (B,)."""
    draws = to_device(torch.rand(2, len(image)) * 2 - 1, image.device).to(image)
    stronger, brighter = (beside(draw, image) for draw in draws)
    mean = image.mean(dim=everything(image), keepdim=True)
    changed = (image - mean) * (1 + contrast * stronger) + mean + brightness * brighter
    there = to_device(beside(chosen, image), image.device) & (image > BACKGROUND)
    return torch.where(there, changed, image)


def _posed(image: Tensor, chosen: Tensor, turn: float, size: float, shift: float) -> Tensor:
    """Rotated (radians), scaled and shifted, for the chosen images; new pixels are background."""
    draws = (torch.rand(image.ndim, len(image)) * 2 - 1) * chosen
    angle, scale = turn * draws[0], torch.exp(size * draws[1])
    height, width = image.shape[-2:]
    cos, sin = scale * angle.cos(), scale * angle.sin()
    nothing = [torch.zeros_like(cos)] * (image.ndim - 4)
    rows = [
        torch.stack([cos, -sin * height / width, *nothing, 2 * shift * draws[2]], dim=1),
        torch.stack([sin * width / height, cos, *nothing, 2 * shift * draws[3]], dim=1),
    ]
    if image.ndim == 5:
        rows.append(torch.stack([*2 * nothing, scale, 2 * shift * draws[4]], dim=1))
    pose = to_device(torch.stack(rows, dim=1), image.device).to(image)
    grid = F.affine_grid(pose, list(image.shape), align_corners=False)
    return F.grid_sample(image - BACKGROUND, grid, align_corners=False) + BACKGROUND


def _cut(image: Tensor, part: float) -> Tensor:
    """A square, or cube, of each image as background."""
    axes = image.ndim - 2
    centre = torch.rand(axes, len(image), *[1] * axes)
    inside = torch.ones((), dtype=torch.bool)
    for axis, length in enumerate(image.shape[2:]):
        place = torch.arange(length).reshape(-1, *[1] * (axes - 1 - axis)) / length
        inside = inside & ((place - centre[axis]).abs() < part / 2)
    return torch.where(to_device(inside[:, None], image.device), BACKGROUND, image)
