"""Layers and functions by the number of an image's dimensions: of slices (B, C, H, W), of volumes (B, C, D, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Dimensions
from gantk_baselines.convolution import Conv2d, ConvTranspose2d

__all__ = [
    "AVERAGE_POOL",
    "BATCH_NORM",
    "CONVOLUTION",
    "CONVOLUTIONS",
    "LINEAR",
    "REFLECTION",
    "TRANSPOSED",
    "ZERO_PAD",
    "Conv3d",
    "beside",
    "everything",
    "pixels",
    "resampled",
]


class Conv3d(nn.Conv3d):
    """`nn.Conv3d` that pads the slices itself in bf16 on a CPU.

    In torch 2.14 with oneDNN, the gradient of the weights is partly uninitialized memory (NaN or huge numbers) if the
    output has two slices and each sees the padding of one side only, as with 3 slices, a kernel of 4 and padding 1.
    With explicit padding, the gradient is correct.
    """

    def forward(self, x: Tensor) -> Tensor:
        border = self.padding[0]
        half = torch.bfloat16 in (
            x.dtype,
            torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None,
        )
        if not half or x.device.type != "cpu" or not isinstance(border, int) or not border:
            return super().forward(x)
        padded = F.pad(x, (0, 0, 0, 0, border, border))
        return F.conv3d(
            padded,
            self.weight,
            self.bias,
            self.stride,
            (0, *self.padding[1:]),
            self.dilation,
            self.groups,  # type: ignore[arg-type]
        )


CONVOLUTION: dict[Dimensions, type[Conv2d] | type[Conv3d]] = {2: Conv2d, 3: Conv3d}
TRANSPOSED: dict[Dimensions, type[ConvTranspose2d] | type[nn.ConvTranspose3d]] = {
    2: ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
BATCH_NORM: dict[Dimensions, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
REFLECTION: dict[Dimensions, type[nn.ReflectionPad2d] | type[nn.ReflectionPad3d]] = {
    2: nn.ReflectionPad2d,
    3: nn.ReflectionPad3d,
}
AVERAGE_POOL: dict[Dimensions, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
ZERO_PAD: dict[Dimensions, type[nn.ZeroPad2d] | type[nn.ZeroPad3d]] = {2: nn.ZeroPad2d, 3: nn.ZeroPad3d}
CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, *TRANSPOSED.values())
LINEAR = {2: "bilinear", 3: "trilinear"}
"""The name of linear interpolation in `F.interpolate`, by the number of spatial dimensions."""


def pixels(image: Tensor) -> tuple[int, ...]:
    """The dimensions of a tensor (B, C, *spatial) to reduce for a mean or sum over the pixels of each channel."""
    return tuple(range(2, image.ndim))


def everything(image: Tensor) -> tuple[int, ...]:
    """The dimensions of a tensor (B, C, *spatial) to reduce for a mean or sum over each image."""
    return tuple(range(1, image.ndim))


def resampled(image: Tensor, size: Sequence[int], mode: Literal["linear", "nearest"]) -> Tensor:
    """Images (B, C, *spatial) interpolated to another size, without aligning corners."""
    if mode == "nearest":
        return F.interpolate(image, tuple(size), mode="nearest")
    return F.interpolate(image, tuple(size), mode=LINEAR[len(size)], align_corners=False)


def beside(values: Tensor, image: Tensor) -> Tensor:
    """Values (B,) or (B, C) with additional dimensions of size 1, to broadcast with an image (B, C, *spatial)."""
    return values.reshape(*values.shape, *[1] * (image.ndim - values.ndim))
