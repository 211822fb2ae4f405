"""Image metrics of a slice inside a region; images are in [0, 1]."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

__all__ = ["Metric", "Mse", "PixelMetric", "Psnr", "Ssim", "masked_mean"]


class Metric(Protocol):
    """A component of kind `metric`: a plain class with two class attributes and a call."""

    higher_is_better: bool
    title: str

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """The metric of each slice inside its mask.

        Args:
            prediction: (B, T, H, W) float in [0, 1].
            target: (B, T, H, W) float in [0, 1].
            mask: (B, 1, H, W) bool, the region.

        Returns:
            (B,) float; NaN where the mask is empty.
        """


@runtime_checkable
class PixelMetric(Metric, Protocol):
    """A metric that is the mean of a map inside the region; the map is computed once for all regions."""

    def map(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, T, H, W), (B, T, H, W) in [0, 1] → (B, T, H, W)."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` (B, T, H, W) inside `mask` (B, 1, H, W) bool → (B,); NaN where the mask is empty."""
    inside = torch.where(mask, values, 0).sum(dim=(1, 2, 3))
    return inside / (mask.sum(dim=(1, 2, 3)) * values.shape[1])


class Ssim:
    """Structural similarity with a Gaussian window (Wang et al. 2004, eq. 13), data range 1.

    A region's value is the mean of the SSIM map inside it; over the whole image that is torchmetrics' value.

    Args:
        sigma: the window's standard deviation in pixels.
        k1: constant that steadies the luminance term.
        k2: constant that steadies the contrast term.
    """

    higher_is_better = True
    title = "SSIM"

    def __init__(self, sigma: float = 1.5, k1: float = 0.01, k2: float = 0.03) -> None:
        self.sigma = sigma
        self.k1 = k1
        self.k2 = k2

    def map(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, T, H, W), (B, T, H, W) in [0, 1] → the SSIM map (B, T, H, W), at most 1."""
        _, similarity = structural_similarity_index_measure(
            prediction,
            target,
            sigma=self.sigma,
            k1=self.k1,
            k2=self.k2,
            data_range=1.0,
            reduction="none",
            return_full_image=True,
        )
        return similarity

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, H, W), (B, T, H, W) in [0, 1], (B, 1, H, W) bool → (B,) in [-1, 1]."""
        return masked_mean(self.map(prediction, target), mask)


class Mse:
    """Mean squared error; over the whole image it is torchmetrics' own value."""

    higher_is_better = False
    title = "MSE"

    def map(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, T, H, W), (B, T, H, W) in [0, 1] → the squared error (B, T, H, W)."""
        return (prediction - target).square()

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, H, W), (B, T, H, W) in [0, 1], (B, 1, H, W) bool → (B,) in [0, 1]."""
        return masked_mean(self.map(prediction, target), mask)


class Psnr:
    """Peak signal-to-noise ratio in dB, 10·log10(1 / MSE); over the whole image it is torchmetrics' value.

    Args:
        ceiling: the value of an identical image, whose ratio is infinite and would make every mean infinite.
    """

    higher_is_better = True
    title = "PSNR"

    def __init__(self, ceiling: float = 100.0) -> None:
        self.ceiling = ceiling

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(B, T, H, W), (B, T, H, W) in [0, 1], (B, 1, H, W) bool → (B,) in dB."""
        mse = masked_mean((prediction - target).square(), mask)
        return (-10 * mse.log10()).clamp(max=self.ceiling)
