"""SPADE: a generator whose norms are modulated by a map of labels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Count, Dimensions, Positive
from gantk_baselines.dimensional import AVERAGE_POOL, CONVOLUTION
from gantk_baselines.layers import Init, InstanceNorm, Levels, check_image, initialise

__all__ = ["Spade"]


class SpadeNorm(nn.Module):
    """norm(x)·(1 + γ(m)) + β(m); γ and β are computed by convolutions from the map m, resized to x."""

    def __init__(self, channels: int, map_channels: int, hidden: int, dimensions: Dimensions = 2) -> None:
        super().__init__()
        convolution = CONVOLUTION[dimensions]
        self.norm = InstanceNorm(channels)
        self.shared = convolution(map_channels, hidden, 3, padding=1)
        self.gamma = convolution(hidden, channels, 3, padding=1)
        self.beta = convolution(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        hidden = F.relu(self.shared(F.interpolate(labels, x.shape[2:])))
        return self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)


class SpadeBlock(nn.Module):
    """A residual block: twice SPADE norm, LeakyReLU and convolution, and a shortcut with its own SPADE norm."""

    def __init__(
        self, in_channels: int, out_channels: int, map_channels: int, hidden: int, dimensions: Dimensions = 2
    ) -> None:
        super().__init__()
        convolution, widths = CONVOLUTION[dimensions], (in_channels, out_channels)
        self.norms = nn.ModuleList(
            SpadeNorm(width, map_channels, hidden, dimensions) for width in (*widths, in_channels)
        )
        self.convolutions = nn.ModuleList(convolution(width, out_channels, 3, padding=1) for width in widths)
        self.shortcut = convolution(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        around = self.shortcut(self.norms[2](x, labels))
        for norm, convolution in zip(self.norms, self.convolutions, strict=False):
            x = convolution(F.leaky_relu(norm(x, labels), 0.2))
        return around + x


class Spade(nn.Module):
    """SPADE generator: (B, in_channels, H, W) float and labels (B, K, H, W) to (B, out_channels, H, W) in (−1, 1).

    Volumes are translated in the same way. All sides are multiples of 2^levels. The network starts from the downscaled
    image and doubles the size `levels` times; the norms of each block are modulated by labels and image. Its extra
    input is `labels`, categories per pixel.

    Source: Park et al., "Semantic image synthesis with spatially-adaptive normalization", CVPR 2019 (64 channels, 128
    hidden). There, an image is made from noise, the map contains only the labels, and the norm is synchronized batch
    norm. Here, an image is translated, so the map also contains the image, and the norm is instance norm.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        given: number of channels of the labels.
        channels: width at full size; it doubles with each halving, up to 8 · channels.
        levels: number of upsampling levels, each of which doubles the size.
        hidden: width of the convolutions from the map to γ and β.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization.
        dimensions: number of spatial dimensions, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        given: Mapping[str, int],
        channels: Count = 64,
        levels: Levels = 4,
        hidden: Count = 128,
        init: Init = "xavier",
        init_gain: Positive = 0.02,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.dimensions = dimensions
        self.size_multiple = 2**levels
        widths = [channels * min(2**level, 8) for level in reversed(range(levels + 1))]
        map_channels = in_channels + given.get("labels", 0)
        self.first = CONVOLUTION[dimensions](in_channels, widths[0], 3, padding=1)
        self.smallest = AVERAGE_POOL[dimensions](self.size_multiple)
        self.blocks = nn.ModuleList(
            SpadeBlock(before, after, map_channels, hidden, dimensions)
            for before, after in zip(widths, [*widths[1:], widths[-1]], strict=True)
        )
        self.last = CONVOLUTION[dimensions](widths[-1], out_channels, 3, padding=1)
        initialise(self, init, init_gain)

    def forward(self, image: Tensor, *, labels: Tensor) -> Tensor:
        """Translate.

        Args:
            image: (B, in_channels, H, W) in [−1, 1].
            labels: (B, K, H, W), one-hot.

        Raises:
            GantkError: the image's shape does not fit.
        """
        check_image(image, self.in_channels, self.size_multiple, "Spade", 2 * self.size_multiple, self.dimensions)
        shown = torch.cat([image, labels], dim=1)
        x = self.first(self.smallest(image))
        for number, block in enumerate(self.blocks):
            x = block(F.interpolate(x, scale_factor=2.0) if number else x, shown)
        return torch.tanh(self.last(F.leaky_relu(x, 0.2)))
