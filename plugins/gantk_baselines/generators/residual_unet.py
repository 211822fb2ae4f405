"""A deep residual U-Net with linear upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gantk import Count, Dimensions
from gantk_baselines.dimensional import CONVOLUTION, CONVOLUTIONS
from gantk_baselines.generators.layered import LayeredGenerator
from gantk_baselines.layers import BlurUp, InstanceNorm, Levels

__all__ = ["ResidualUnet"]

SLOPE = 0.01
"""The slope of the leaky ReLUs."""
LEAST = 4
"""The length of a side, in pixels, below which sides are not reduced."""


class _Mean(nn.Module):
    """Average pooling along the axes with stride 2, deterministic on a GPU too."""

    def __init__(self, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        for axis, step in enumerate(self.stride, start=2):
            if step == 2:
                x = x.unflatten(axis, (-1, 2)).mean(axis + 1)
        return x


class _Block(nn.Module):
    """LeakyReLU(s(x) + norm(conv(LeakyReLU(norm(conv(x)))))); s averages and has a 1×1 convolution if needed.

    The last norm's scale starts at 0, so that the block initially computes s.
    """

    def __init__(self, in_channels: int, channels: int, stride: tuple[int, ...], dimensions: Dimensions) -> None:
        super().__init__()
        convolution = CONVOLUTION[dimensions]
        self.body = nn.Sequential(
            convolution(in_channels, channels, 3, stride=stride, padding=1, bias=False),  # type: ignore[arg-type]
            InstanceNorm(channels, affine=True),
            nn.LeakyReLU(SLOPE),
            convolution(channels, channels, 3, padding=1, bias=False),
            InstanceNorm(channels, affine=True),
        )
        shortcut: list[nn.Module] = []
        if max(stride) > 1:
            shortcut.append(_Mean(stride))
        if in_channels != channels:
            shortcut += [convolution(in_channels, channels, 1, bias=False), InstanceNorm(channels, affine=True)]
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.shortcut(x) + self.body(x))


class _Up(nn.Module):
    """Linear doubling and a 1×1 convolution to the skip's channels, concatenation, 3×3 convolution and norm."""

    def __init__(self, in_channels: int, channels: int, stride: tuple[int, ...], dimensions: Dimensions) -> None:
        super().__init__()
        convolution = CONVOLUTION[dimensions]
        # before doubling, where it is cheaper: a 1×1 convolution commutes with linear interpolation
        self.narrow = convolution(in_channels, channels, 1)
        self.upsample = BlurUp([step == 2 for step in stride])
        self.join = nn.Sequential(
            convolution(2 * channels, channels, 3, padding=1, bias=False),
            InstanceNorm(channels, affine=True),
            nn.LeakyReLU(SLOPE),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.join(torch.cat([self.upsample(self.narrow(x)), skip], dim=1))


class ResidualUnet(LayeredGenerator):
    """Residual U-Net: (B, in_channels, H, W) float to (B, out_channels, H, W) in (−1, 1); volumes in the same way.

    A first 3×3 convolution and `blocks` residual blocks at each size. Every level halves all sides except sides of
    `image_size` that would become shorter than 4, so that slabs of few slices can have many levels. The decoder doubles
    linearly and has one convolution at each size; the output has a 1×1 convolution and tanh. Instance norm has learned
    scale and shift.

    Layers are numbered by size: 0 … levels downwards, levels + 1 … 2 · levels upwards, 2 · levels + 1 the output.

    Sources: residual encoders: Isensee et al., "nnU-Net revisited", MICCAI 2024, and He et al., "Deep residual
    learning", CVPR 2016. Linear upsampling instead of transposed convolutions avoids checkerboard artifacts (Odena et
    al., Distill 2016).

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        image_size: size of the training images, which decides which sides are halved; default: all sides.
        levels: number of halvings.
        channels: width of the first level, doubled at each further level.
        widest: largest number of channels of a level.
        blocks: residual blocks at each size.
        dimensions: number of spatial dimensions, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        image_size: Sequence[int] | None = None,
        levels: Levels = 5,
        channels: Count = 32,
        widest: Count = 320,
        blocks: Annotated[int, Field(ge=1, le=100)] = 2,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.dimensions = dimensions
        self.levels = levels
        strides = _strides(image_size, levels, dimensions)
        self.size_multiple = tuple(2 ** sum(one == 2 for one in axis) for axis in zip(*strides, strict=True))
        widths = [min(channels * 2**level, widest) for level in range(levels + 1)]
        convolution = CONVOLUTION[dimensions]
        self.stem = nn.Sequential(
            convolution(in_channels, widths[0], 3, padding=1, bias=False),
            InstanceNorm(widths[0], affine=True),
            nn.LeakyReLU(SLOPE),
        )
        same = (1,) * dimensions
        self.down = nn.ModuleList(
            nn.Sequential(
                _Block(widths[max(0, level - 1)], width, strides[level - 1] if level else same, dimensions),
                *(_Block(width, width, same, dimensions) for _ in range(blocks - 1)),
            )
            for level, width in enumerate(widths)
        )
        self.up = nn.ModuleList(
            _Up(widths[level + 1], widths[level], strides[level], dimensions) for level in reversed(range(levels))
        )
        self.last = nn.Sequential(convolution(widths[0], out_channels, 1), nn.Tanh())
        _initialise(self)

    @property
    def layer_count(self) -> int:
        return 2 * self.levels + 2

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        features: dict[int, Tensor] = {}
        skips: list[Tensor] = []
        x = self.stem(image)
        for number in range(self.layer_count if last is None else last + 1):
            if number <= self.levels:
                x = self.down[number](x)
                skips.append(x)
            elif number <= 2 * self.levels:
                x = self.up[number - self.levels - 1](x, skips[2 * self.levels - number])
            else:
                x = self.last(x)
            if number in layers:
                features[number] = x
        return x, features


def _strides(size: Sequence[int] | None, levels: int, dimensions: int) -> list[tuple[int, ...]]:
    """The stride of each axis at each level: 2, or 1 if the side must not become shorter."""
    if size is None:
        return [(2,) * dimensions] * levels
    sides, found = list(size), []
    for _ in range(levels):
        # odd sides are halved too; the check of sizes rejects them and names the required multiple
        stride = tuple(2 if side >= 2 * LEAST else 1 for side in sides)
        sides = [side // one for side, one in zip(sides, stride, strict=True)]
        found.append(stride)
    return found


def _initialise(network: nn.Module) -> None:
    """Kaiming initialization for leaky ReLUs; biases are 0, and residual blocks start as their shortcuts."""
    for layer in network.modules():
        if isinstance(layer, CONVOLUTIONS):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, _Block):
            scale = layer.body[-1].weight
            assert isinstance(scale, Tensor)
            nn.init.zeros_(scale)
