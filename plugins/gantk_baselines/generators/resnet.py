"""The ResNet generator of CycleGAN and CUT."""

from __future__ import annotations

from torch import Tensor, nn

from gantk import Count, Dimensions, Positive
from gantk_baselines.dimensional import CONVOLUTION, REFLECTION, TRANSPOSED
from gantk_baselines.generators.layered import LayeredGenerator
from gantk_baselines.layers import (
    Blocks,
    BlurDown,
    BlurUp,
    Dropout,
    Init,
    Norm,
    convolution_bias,
    final_convolution,
    initialise,
    normalisation,
    run_layers,
)

__all__ = ["ResidualBlock", "Resnet", "decoder_layers", "encoder_layers"]


class ResidualBlock(nn.Module):
    """x + norm(conv(ReLU(norm(conv(x))))) with 3×3 convolutions and reflected border, (B, C, *spatial)."""

    def __init__(
        self, channels: int, norm: Norm = "instance", dropout: float = 0.0, dimensions: Dimensions = 2
    ) -> None:
        super().__init__()
        bias = convolution_bias(norm)
        reflection, convolution = REFLECTION[dimensions], CONVOLUTION[dimensions]
        self.body = nn.Sequential(
            reflection(1),
            convolution(channels, channels, 3, bias=bias),
            normalisation(norm, channels, dimensions),
            nn.ReLU(),
            *([nn.Dropout(dropout)] if dropout else []),
            reflection(1),
            convolution(channels, channels, 3, bias=bias),
            normalisation(norm, channels, dimensions),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def encoder_layers(
    in_channels: int,
    channels: int,
    blocks: int,
    norm: Norm,
    antialias: bool,
    dropout: float,
    dimensions: Dimensions = 2,
) -> list[nn.Module]:
    """The encoder up to the last residual block: (B, in, H, W) to (B, 4 · channels, H/4, W/4); volumes in the same way.

    With antialiasing these are layers 0 to 11 + blocks: 0 padding, 1–3 7×7 convolution, norm, ReLU, 4–7 and 8–11
    convolution, norm, ReLU, blurred halving, 12 … the blocks. Otherwise a strided convolution replaces convolution and
    halving.
    """
    bias, convolution = convolution_bias(norm), CONVOLUTION[dimensions]
    layers: list[nn.Module] = [
        REFLECTION[dimensions](3),
        convolution(in_channels, channels, 7, bias=bias),
        normalisation(norm, channels, dimensions),
        nn.ReLU(),
    ]
    for width in (channels, 2 * channels):
        layers += [
            convolution(width, 2 * width, 3, stride=1 if antialias else 2, padding=1, bias=bias),
            normalisation(norm, 2 * width, dimensions),
            nn.ReLU(),
        ]
        if antialias:
            layers.append(BlurDown())
    return layers + [ResidualBlock(4 * channels, norm, dropout, dimensions) for _ in range(blocks)]


def decoder_layers(
    out_channels: int,
    channels: int,
    norm: Norm,
    antialias: bool,
    skipped: int = 0,
    dimensions: Dimensions = 2,
) -> list[nn.Module]:
    """The decoder: (B, 4 · channels, H/4, W/4) to the image (B, out, H, W) in (−1, 1); volumes in the same way.

    The last three layers (padding, 7×7 convolution, tanh) expect `skipped` more channels than the layers before output.
    """
    bias = convolution_bias(norm)
    layers: list[nn.Module] = []
    for width in (4 * channels, 2 * channels):
        if antialias:
            layers += [BlurUp(), CONVOLUTION[dimensions](width, width // 2, 3, padding=1, bias=bias)]
        else:
            doubling = TRANSPOSED[dimensions]
            layers.append(doubling(width, width // 2, 3, stride=2, padding=1, output_padding=1, bias=bias))
        layers += [normalisation(norm, width // 2, dimensions), nn.ReLU()]
    final = final_convolution(channels + skipped, out_channels, 7, dimensions)
    return [*layers, REFLECTION[dimensions](3), final, nn.Tanh()]


class Resnet(LayeredGenerator):
    """ResNet generator: (B, in_channels, H, W) float to (B, out_channels, H, W) in (−1, 1); volumes in the same way.

    All sides are multiples of 4 and at least 8. With `antialias` and nine blocks the layers are numbered as in
    CUT: 0 reflection padding (that is, the padded input), 1–3 7×7 convolution, norm, ReLU, 4
    convolution to 2 · channels, 7 blurred halving, 8 convolution to 4 · channels, 11 blurred halving, 12–20
    blocks, 21 blurred doubling, 22 convolution, 25 doubling, 26 convolution, 29 padding, 30 7×7 convolution,
    31 tanh.

    Sources: Johnson et al., "Perceptual losses", ECCV 2016; Zhu et al., "CycleGAN", ICCV 2017 (antialias
    off, init "normal"); Park et al., "CUT", ECCV 2020 (antialias on, init "xavier").

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        channels: width of the first convolution.
        blocks: number of residual blocks.
        norm: "instance", "batch" or "none"; convolutions before batch norm have no bias.
        antialias: blurred sampling instead of strided and transposed convolutions.
        dropout: probability inside each block (pGAN: 0.5).
        init: "xavier" or "normal".
        init_gain: gain or standard deviation of the initialization.
        dimensions: number of spatial dimensions, 2 or 3.
    """

    size_multiple = 4
    least = 8

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Count = 64,
        blocks: Blocks = 9,
        norm: Norm = "instance",
        antialias: bool = True,
        dropout: Dropout = 0.0,
        init: Init = "xavier",
        init_gain: Positive = 0.02,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.dimensions = dimensions
        encoder = encoder_layers(in_channels, channels, blocks, norm, antialias, dropout, dimensions)
        self.first_decoder_layer = len(encoder)
        decoder = decoder_layers(out_channels, channels, norm, antialias, dimensions=dimensions)
        self.layers = nn.Sequential(*encoder, *decoder)
        initialise(self, init, init_gain)

    @property
    def layer_count(self) -> int:
        return len(self.layers)

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        return run_layers(self.layers, image, layers, last=last)
