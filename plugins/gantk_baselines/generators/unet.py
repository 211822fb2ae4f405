"""The U-Net generator of pix2pix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantk import Count, Dimensions, Positive
from gantk_baselines.dimensional import CONVOLUTION, TRANSPOSED
from gantk_baselines.generators.layered import LayeredGenerator
from gantk_baselines.layers import (
    Dropout,
    Init,
    Levels,
    Norm,
    convolution_bias,
    initialise,
    normalisation,
)

__all__ = ["Unet"]


def _down(
    level: int,
    levels: int,
    in_channels: int,
    out_channels: int,
    norm: Norm,
    bias: bool,
    dropout: float,
    dimensions: Dimensions,
) -> nn.Sequential:
    """LeakyReLU, 4×4 convolution with stride 2, norm, dropout; no activation on the image, no norm at either end."""
    ends = level in (0, levels - 1)
    return nn.Sequential(
        *([nn.LeakyReLU(0.2)] if level else []),
        CONVOLUTION[dimensions](in_channels, out_channels, 4, stride=2, padding=1, bias=bias),
        *([] if ends else [normalisation(norm, out_channels, dimensions)]),
        *([nn.Dropout(dropout)] if dropout else []),
    )


def _up(
    level: int, in_channels: int, out_channels: int, norm: Norm, bias: bool, dropout: float, dimensions: Dimensions
) -> nn.Sequential:
    """ReLU, 4×4 transposed convolution with stride 2, then norm and dropout, or tanh at the image."""
    return nn.Sequential(
        nn.ReLU(),
        TRANSPOSED[dimensions](in_channels, out_channels, 4, stride=2, padding=1, bias=bias or level == 0),
        normalisation(norm, out_channels, dimensions) if level else nn.Tanh(),
        *([nn.Dropout(dropout)] if dropout else []),
    )


class Unet(LayeredGenerator):
    """U-Net generator: (B, in_channels, H, W) float to (B, out_channels, H, W) in (−1, 1); volumes in the same way.

    All sides are multiples of 2^levels. Each level halves the image; widths are channels · 1, 2, 4, 8, 8, …
    Layers are numbered by block: 0 … levels − 1 downwards (the convolution with its norm, before the next
    activation), levels … 2 · levels − 1 upwards (before the skip connection is appended; the last is the
    output).

    Source: Isola et al., "pix2pix", CVPR 2017 (8 levels for 256², batch norm, dropout 0.5, init "normal").

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        levels: number of halvings; 8 is the published "U-Net 256", 7 "U-Net 128"; 5 fits images of 224 × 224.
        channels: width of the first level.
        norm: "instance", "batch" or "none"; convolutions before batch norm have no bias.
        dropout: probability in the published places: the upward levels of full width except the innermost.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization.
        bias: whether the convolutions except the last have a bias (MM-GAN: no); default: all except before batch norm.
        encoder_dropout: probability in the downward levels of full width (MM-GAN: 0.2).
        dimensions: number of spatial dimensions, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        levels: Levels = 8,
        channels: Count = 64,
        norm: Norm = "batch",
        dropout: Dropout = 0.5,
        init: Init = "normal",
        init_gain: Positive = 0.02,
        bias: bool | None = None,
        encoder_dropout: Dropout = 0.0,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        bias = convolution_bias(norm) if bias is None else bias
        self.in_channels = in_channels
        self.dimensions = dimensions
        self.levels = levels
        self.size_multiple = 2**levels
        widths = [channels * min(2**level, 8) for level in range(levels)]
        inputs = [in_channels, *widths[:-1]]
        self.down = nn.ModuleList(
            _down(i, levels, inputs[i], widths[i], norm, bias, encoder_dropout if i >= 3 else 0.0, dimensions)
            for i in range(levels)
        )
        outputs = [out_channels, *widths[:-1]]
        self.up = nn.ModuleList(
            _up(
                i,
                widths[i] * (1 if i == levels - 1 else 2),  # the innermost block has no skip connection
                outputs[i],
                norm,
                bias,
                dropout if 4 <= i < levels - 1 else 0.0,
                dimensions,
            )
            for i in reversed(range(levels))
        )
        initialise(self, init, init_gain)

    @property
    def layer_count(self) -> int:
        return 2 * self.levels

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        stop = self.layer_count if last is None else last + 1
        x = image
        skips: list[Tensor] = []
        features: dict[int, Tensor] = {}
        for number, block in enumerate([*self.down, *self.up][:stop]):
            if number > self.levels:
                x = torch.cat([skips.pop(), x], dim=1)
            x = block(x)
            if number < self.levels - 1:
                skips.append(x)
            if number in layers:
                features[number] = x
        return x, features
