"""The CasNet generator of MedGAN."""

from __future__ import annotations

from typing import overload

from torch import Tensor, nn

from gantk import Translation
from gantk_baselines.generators.unet import Unet
from gantk_baselines.layers import Init, Norm, check_layers

__all__ = ["CasNet"]


class CasNet(nn.Module):
    """U-Nets in a chain, each refining its predecessor's image: (B, in_channels, H, W) float to (B, out_channels,
    H, W) in (−1, 1).

    H and W are multiples of 2^levels. Each U-block is the U-Net of pix2pix, 4×4 convolutions with skip connections;
    the first takes the source, the others the image before them, and each ends in one. Layer b · 2 · levels + i is
    layer i of U-block b.

    Source: Armanious et al., "MedGAN", 2020 (6 blocks of 8 levels for 256², batch norm).

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        blocks: U-blocks.
        levels: halvings in each.
        channels: width of the first level of each.
        norm: "instance", "batch" or "none"; convolutions in front of batch norm have no bias.
        dropout: probability where the U-Net of pix2pix has it.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        blocks: int = 6,
        levels: int = 8,
        channels: int = 64,
        norm: Norm = "batch",
        dropout: float = 0.0,
        init: Init = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        self.size_multiple = 2**levels
        self.block_layers = 2 * levels
        self.blocks = nn.ModuleList(
            Unet(
                in_channels if b == 0 else out_channels, out_channels, levels, channels, norm, dropout, init, init_gain
            )
            for b in range(blocks)
        )

    @overload
    def forward(self, image: Tensor, layers: tuple[()] = (), decode: bool = True) -> Tensor: ...
    @overload
    def forward(self, image: Tensor, layers: tuple[int, ...], decode: bool = True) -> Translation: ...
    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        """Translate, and take features in the same pass.

        Args:
            image: (B, in_channels, H, W) in [−1, 1].
            layers: numbers of the layers whose outputs are wanted.
            decode: False stops after the last wanted layer and gives no output.

        Returns:
            The output (B, out_channels, H, W), or with layers the output and the features by number.

        Raises:
            GantkError: the image's shape or a layer number does not fit.
        """
        check_layers(layers, self.block_layers * len(self.blocks), "CasNet")
        last = len(self.blocks) if decode else max(layers, default=-1) // self.block_layers
        x: Tensor | None = image
        features: dict[int, Tensor] = {}
        for number, block in enumerate(self.blocks):
            if number > last:
                break
            first = number * self.block_layers
            own = tuple(n - first for n in layers if first <= n < first + self.block_layers)
            x, found = block(x, own, number < last) if own else Translation(block(x), {})
            features |= {first + n: feature for n, feature in found.items()}
        if not layers and decode:
            assert x is not None
            return x
        return Translation(x if decode else None, features)
