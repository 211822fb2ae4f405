"""Metrics of slices or volumes inside a region; images are in [0, 1].

Spatial is (H, W) for slices and (D, H, W) for volumes; Gaussian windows have as many dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from gantk.evaluation.protocols import ToUnits
from gantk.ranges import Dimensions, Positive

__all__ = ["Mae", "MaeInUnits", "MsSsim", "Mse", "Nmse", "Psnr", "Ssim", "masked_mean", "weighted_mean"]


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of `values` (B, T, *spatial) with `weight` (B, 1, *spatial) → (B,); NaN if all weights are 0."""
    each = tuple(range(1, values.ndim))
    return (values * weight).sum(dim=each) / (weight.sum(dim=each) * values.shape[1])


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` (B, T, *spatial) inside `mask` (B, 1, *spatial) bool → (B,); NaN if the mask is empty."""
    each = tuple(range(1, values.ndim))
    inside = torch.where(mask, values, 0).sum(dim=each)
    return inside / (mask.sum(dim=each) * values.shape[1])


def gaussian_reach(sigma: float) -> int:
    """Pixels from the center to the edge of a Gaussian window, as in torchmetrics."""
    return int(3.5 * sigma + 0.5)


def gaussian_mean(images: Tensor, sigma: float, axes: int) -> Tensor:
    """The mean about each pixel of (..., *spatial) in a Gaussian window, axis by axis; same shape.

    All images become channels of one image, in the memory layout in which such convolutions are fast on a CPU: several
    times as fast as torchmetrics' SSIM, with the same values (`tests/bench/bench_ssim.py`).

    Args:
        images: images, mirrored at their edges; each side is longer than the window's reach.
        sigma: the window's standard deviation in pixels.
        axes: the spatial dimensions, 2 or 3.
    """
    reach, spatial = gaussian_reach(sigma), images.shape[-axes:]
    distance = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    window = (-((distance / sigma) ** 2) / 2).exp()
    window /= window.sum()
    found = F.pad(images.reshape(1, -1, *spatial), (reach,) * 2 * axes, mode="reflect")
    found = found.contiguous(memory_format=torch.channels_last if axes == 2 else torch.channels_last_3d)
    convolved, channels = (F.conv2d if axes == 2 else F.conv3d), found.shape[1]
    for axis in range(axes):
        along = [-1 if axis == other else 1 for other in range(axes)]
        found = convolved(found, window.view(1, 1, *along).repeat(channels, *[1] * (axes + 1)), groups=channels)
    return found.reshape(images.shape)


class Ssim:
    """Structural similarity with a Gaussian window (Wang et al. 2004, eq. 13), data range 1.

    A region's value is the mean of the SSIM map inside it; over the whole image this equals torchmetrics' value.

    Args:
        sigma: the window's standard deviation in pixels.
        k1: constant that stabilizes the luminance term.
        k2: constant that stabilizes the contrast term.
        dimensions: number of spatial dimensions, 2 or 3.
    """

    higher_is_better = True
    title = "SSIM"

    def __init__(
        self, sigma: Positive = 1.5, k1: Positive = 0.01, k2: Positive = 0.03, dimensions: Dimensions = 2
    ) -> None:
        self.sigma = sigma
        self.k1 = k1
        self.k2 = k2

    def map(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1] → the SSIM map (B, T, *spatial), at most 1.

        NaN for volumes with fewer slices than half the window has.
        """
        if target.ndim == 5 and target.shape[2] <= gaussian_reach(self.sigma):
            return torch.full_like(target, torch.nan)
        products = (prediction, target, prediction * prediction, target * target, prediction * target)
        x, y, xx, yy, xy = gaussian_mean(torch.stack(products), self.sigma, target.ndim - 2)
        c1, c2 = self.k1**2, self.k2**2
        luminance = (2 * x * y + c1) / (x * x + y * y + c1)
        spread = (xx - x * x).clamp(min=0) + (yy - y * y).clamp(min=0)
        return luminance * (2 * (xy - x * y) + c2) / (spread + c2)

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1], (B, 1, *spatial) bool → (B,) in [-1, 1]."""
        return masked_mean(self.map(prediction, target), mask)


class Mse:
    """Mean squared error; over the whole image it equals torchmetrics' value.

    Args:
        dimensions: number of spatial dimensions, 2 or 3.
    """

    higher_is_better = False
    title = "MSE"

    def __init__(self, dimensions: Dimensions = 2) -> None:
        pass

    def map(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1] → the squared error (B, T, *spatial)."""
        return (prediction - target).square()

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1], (B, 1, *spatial) bool → (B,) in [0, 1]."""
        return masked_mean(self.map(prediction, target), mask)


class Mae:
    """Mean absolute error of images in [0, 1].

    Args:
        dimensions: number of spatial dimensions, 2 or 3.
    """

    higher_is_better = False
    title = "MAE"

    def __init__(self, dimensions: Dimensions = 2) -> None:
        pass

    def map(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1] → the absolute error (B, T, *spatial)."""
        return (prediction - target).abs()

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1], (B, 1, *spatial) bool → (B,) in [0, 1]."""
        return masked_mean(self.map(prediction, target), mask)


class MaeInUnits(Mae):
    """Mean absolute error in the target's own unit, such as HU.

    Omitted if a measured target has no absolute unit: in MR, brightness differs between patients.

    Args:
        dimensions: number of spatial dimensions, 2 or 3.
    """

    title = "MAE (unit)"

    def __init__(self, dimensions: Dimensions = 2) -> None:
        self._to_units: ToUnits | None = None

    def in_units(self, to_units: ToUnits) -> MaeInUnits:
        """The metric for images that `to_units` converts to the targets' units."""
        bound = MaeInUnits()
        bound._to_units = to_units
        return bound

    def map(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1] → the absolute error (B, T, *spatial) in the targets' units."""
        if self._to_units is None:
            return super().map(prediction, target)
        return super().map(self._to_units(prediction), self._to_units(target))


class Psnr:
    """Peak signal-to-noise ratio in dB, 10·log10(1 / MSE); over the whole image it equals torchmetrics' value.

    Args:
        ceiling: the value for an identical image, whose infinite ratio would make every mean infinite.
        dimensions: number of spatial dimensions, 2 or 3.
    """

    higher_is_better = True
    title = "PSNR"

    def __init__(self, ceiling: Positive = 100.0, dimensions: Dimensions = 2) -> None:
        self.ceiling = ceiling

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1], (B, 1, *spatial) bool → (B,) in dB."""
        mse = masked_mean((prediction - target).square(), mask)
        return (-10 * mse.log10()).clamp(max=self.ceiling)


class Nmse:
    """Squared error normalized by the target's energy, ‖prediction - target‖² / ‖target‖², per slice.

    0 is perfect; an image of zeros gets 1. If the target is 0 everywhere in the region, its energy is 0: the value is
    then 0 for a perfect image and NaN, which means skip, for any other.

    Args:
        dimensions: number of spatial dimensions, 2 or 3.
    """

    higher_is_better = False
    title = "NMSE"

    def __init__(self, dimensions: Dimensions = 2) -> None:
        pass

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1], (B, 1, *spatial) bool → (B,), at least 0."""
        error = masked_mean((prediction - target).square(), mask)
        energy = masked_mean(target.square(), mask)
        return torch.where(energy > 0, error / energy, torch.where(error > 0, torch.nan, error))


class MsSsim:
    """Multi-scale structural similarity (Wang et al. 2003, eq. 7): contrast at every scale, luminance at the last.

    The number of scales depends on the slice's size: at the coarsest scale, the window of 11 pixels (at σ 1.5) must
    fit into the shorter side, so a slice of 96 x 80 has three scales, and five scales need 176 pixels. With fewer
    scales, the first weights are used, rescaled to the sum of all. Over the whole image the value equals
    torchmetrics': contrast excludes the border where the window extends past the image. A region is halved with the
    image, each pixel weighted by the fraction of it that lies inside.

    Args:
        betas: weights of the scales, from the finest.
        sigma: the window's standard deviation in pixels.
        k1: constant that stabilizes the luminance term.
        k2: constant that stabilizes the contrast term.
        dimensions: number of spatial dimensions, 2 or 3.
    """

    higher_is_better = True
    title = "MS-SSIM"

    def __init__(
        self,
        betas: Annotated[Sequence[Positive], Field(min_length=1)] = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
        sigma: Positive = 1.5,
        k1: Positive = 0.01,
        k2: Positive = 0.03,
        dimensions: Dimensions = 2,
    ) -> None:
        self.betas = tuple(betas)
        self.sigma = sigma
        self.k1 = k1
        self.k2 = k2

    @property
    def reach(self) -> int:
        """Pixels from the window's center to its edge."""
        return gaussian_reach(self.sigma)

    def scales(self, *size: int) -> tuple[float, ...]:
        """The weights of the scales that fit a slice or volume of this size, at least one."""
        window = 2 * self.reach + 1
        count = sum(min(size) >> scale >= window for scale in range(len(self.betas))) or 1
        used = self.betas[:count]
        return tuple(beta * sum(self.betas) / sum(used) for beta in used)

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, *spatial), (B, T, *spatial) in [0, 1], (B, 1, *spatial) bool → (B,) in [0, 1]."""
        betas = self.scales(*target.shape[2:])
        halved = F.avg_pool2d if target.ndim == 4 else F.avg_pool3d
        weight = mask.to(target.dtype)
        value = torch.ones(len(target), dtype=target.dtype, device=target.device)
        for scale, beta in enumerate(betas):
            if scale:
                prediction, target, weight = (halved(image, 2) for image in (prediction, target, weight))
            last = scale == len(betas) - 1
            # a huge k1 makes the luminance term 1, so that only contrast and structure remain
            similarity = Ssim(self.sigma, self.k1 if last else 1e4, self.k2).map(prediction, target)
            mean = weighted_mean(similarity, weight if last else self._inner(weight))
            value = value * mean.relu() ** beta
        return value

    def _inner(self, weight: Tensor) -> Tensor:
        """The weight without the border, unless the region lies entirely in the border."""
        inner = torch.zeros_like(weight)
        inside: tuple[slice | EllipsisType, ...] = (..., *[slice(self.reach, -self.reach)] * (weight.ndim - 2))
        inner[inside] = weight[inside]
        return torch.where(inner.sum(dim=tuple(range(2, weight.ndim)), keepdim=True) > 0, inner, weight)
