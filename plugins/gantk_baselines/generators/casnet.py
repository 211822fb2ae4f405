"""The CasNet generator of MedGAN."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from gantk import Count, Dimensions, Positive, Translation
from gantk_baselines.generators.layered import LayeredGenerator
from gantk_baselines.generators.unet import Unet
from gantk_baselines.layers import Dropout, Init, Levels, Norm

__all__ = ["CasNet"]


class CasNet(LayeredGenerator):
    """A chain of U-Nets, each refining its predecessor's image.

    Maps (B, in_channels, H, W) float to (B, out_channels, H, W) in (−1, 1); volumes in the same way. All sides are
    multiples of 2^levels. Each U-block is the U-Net of pix2pix, 4×4 convolutions with skip connections; the first
    receives the source, each other block the preceding image, and each outputs an image. Layer b · 2 · levels + i is
    layer i of U-block b.

    Source: Armanious et al., "MedGAN", 2020 (6 blocks of 8 levels for 256², batch norm).

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        blocks: number of U-blocks.
        levels: number of halvings in each block.
        channels: width of each block's first level.
        norm: "instance", "batch" or "none"; convolutions before batch norm have no bias.
        dropout: dropout probability, in the same places as in the U-Net of pix2pix.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization.
        dimensions: number of spatial dimensions, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        blocks: Annotated[int, Field(ge=1, le=1000)] = 6,
        levels: Levels = 8,
        channels: Count = 64,
        norm: Norm = "batch",
        dropout: Dropout = 0.0,
        init: Init = "normal",
        init_gain: Positive = 0.02,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.dimensions = dimensions
        self.size_multiple = 2**levels
        self.block_layers = 2 * levels
        self.blocks = nn.ModuleList(
            Unet(
                in_channels if b == 0 else out_channels,
                out_channels,
                levels,
                channels,
                norm,
                dropout,
                init,
                init_gain,
                dimensions=dimensions,
            )
            for b in range(blocks)
        )

    @property
    def layer_count(self) -> int:
        return self.block_layers * len(self.blocks)

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        stop = None if last is None else last // self.block_layers
        x: Tensor | None = image
        features: dict[int, Tensor] = {}
        for number, block in enumerate(self.blocks):
            if stop is not None and number > stop:
                break
            first = number * self.block_layers
            own = tuple(n - first for n in layers if first <= n < first + self.block_layers)
            x, found = block(x, own, number != stop) if own else Translation(block(x), {})
            features |= {first + n: feature for n, feature in found.items()}
        return x, features
