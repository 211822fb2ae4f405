"""The mustGAN generator: one-to-one streams and a many-to-one stream, joined at an adjustable depth."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gantk import Count, Dimensions, GantkError, Positive
from gantk_baselines.dimensional import CONVOLUTION
from gantk_baselines.generators.layered import LayeredGenerator
from gantk_baselines.generators.resnet import decoder_layers, encoder_layers
from gantk_baselines.layers import (
    Blocks,
    Dropout,
    Init,
    Norm,
    convolution_bias,
    initialise,
    normalisation,
    run_layers,
)

__all__ = ["Mustgan"]


class _Stream(nn.Module):
    """The first layers of a ResNet generator, with the same names."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)


class Mustgan(LayeredGenerator):
    """mustGAN generator: (B, in_channels, H, W) float to (B, out_channels, H, W) in (−1, 1).

    Each of K one-to-one streams receives one modality, and a many-to-one stream receives all; each stream is a ResNet
    generator up to the join. There the K + 1 feature maps are concatenated, a 3×3 convolution with norm and ReLU
    reduces them to one stream's width, and the rest of a ResNet generator produces the image. `streams.0` …
    `streams.K − 1` are the one-to-one streams in the order of the inputs, `streams.K` is the many-to-one stream.
    Weights have the same names as in `resnet`, so that weights of `resnet` generators with the same settings can be
    copied into the streams and into the rest. Volumes are translated in the same way; all sides are multiples of 4 and
    at least 8.

    Layers are numbered as in `resnet`; numbers up to the join are layers of the many-to-one stream.

    Source: Yurt et al., "mustGAN", Medical Image Analysis 2021: the position of the join is chosen for each task. The
    width and kernel of the fusing convolution are this implementation's choice.

    Args:
        in_channels: channels of the source, K · stream_channels.
        out_channels: channels of the output.
        stream_channels: channels of one modality; more than one if neighboring slices are inputs too.
        join: the layer after which the streams are joined: "early" the encoder's last before the blocks,
            "middle" half of the blocks, "late" the decoder's first doubling with its norm and activation; or a number.
        train_streams: continue training the streams; otherwise they stay fixed, without dropout and with stored
            statistics of batch norm.
        channels: width of the first convolution.
        blocks: number of residual blocks.
        norm: "instance", "batch" or "none".
        antialias: blurred sampling instead of strided and transposed convolutions.
        dropout: probability inside each residual block.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization.
        dimensions: number of spatial dimensions, 2 or 3.

    Raises:
        GantkError: the modalities do not fit the channels, or the join lies outside the network.
    """

    size_multiple = 4
    least = 8

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stream_channels: Count = 1,
        join: Literal["early", "middle", "late"] | Count = "middle",
        train_streams: bool = False,
        channels: Count = 64,
        blocks: Blocks = 9,
        norm: Norm = "instance",
        antialias: bool = False,
        dropout: Dropout = 0.5,
        init: Init = "normal",
        init_gain: Positive = 0.02,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        if in_channels % stream_channels:
            raise GantkError(
                f"{in_channels} channels cannot be divided into streams of {stream_channels}",
                where="Mustgan",
                mend="set stream_channels to the channels of one modality",
            )
        self.in_channels = in_channels
        self.dimensions = dimensions
        self.stream_channels = stream_channels
        self.train_streams = train_streams

        def layers(inputs: int) -> list[nn.Module]:
            encoder = encoder_layers(inputs, channels, blocks, norm, antialias, dropout, dimensions)
            return encoder + decoder_layers(out_channels, channels, norm, antialias, dimensions=dimensions)

        whole = layers(in_channels)
        self.count = len(whole)
        self.join = _join(join, self.count, blocks, antialias)
        single = [layers(stream_channels)[: self.join + 1] for _ in range(in_channels // stream_channels)]
        self.streams = nn.ModuleList(_Stream(stream) for stream in [*single, whole[: self.join + 1]])
        # the rest keeps the layers' numbers as names
        self.layers = nn.Sequential()
        for number in range(self.join + 1, self.count):
            self.layers.add_module(str(number), whole[number])
        sizes = self._sizes()
        self.fusion = nn.Sequential(
            CONVOLUTION[dimensions](sum(sizes), sizes[-1], 3, padding=1, bias=convolution_bias(norm)),
            normalisation(norm, sizes[-1], dimensions),
            nn.ReLU(),
        )
        initialise(self, init, init_gain)
        self.streams.requires_grad_(train_streams)
        self.train()

    @torch.no_grad()
    def _sizes(self) -> list[int]:
        """The channels of each stream's last map; the many-to-one stream comes last."""
        self.eval()
        image = torch.zeros(1, self.in_channels, *[8] * self.dimensions)
        return [stream.layers(part).shape[1] for stream, part in zip(self.streams, self._parts(image), strict=True)]

    def _parts(self, image: Tensor) -> list[Tensor]:
        return [*image.split(self.stream_channels, dim=1), image]

    def train(self, mode: bool = True) -> Mustgan:
        """Set the mode; streams that are not trained stay in evaluation mode."""
        super().train(mode)
        self.streams.train(mode and self.train_streams)
        return self

    @property
    def layer_count(self) -> int:
        return self.count

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        many, features = run_layers(self.streams[-1].layers, image, layers, last=last)
        if last is not None and last <= self.join:
            return None, features
        singles = [stream.layers(part) for stream, part in zip(self.streams[:-1], self._parts(image)[:-1], strict=True)]
        fused = self.fusion(torch.cat([*singles, many], dim=1))
        output, rest = run_layers(self.layers, fused, layers, first=self.join + 1, last=last)
        return output, features | rest


def _join(where: Literal["early", "middle", "late"] | int, count: int, blocks: int, antialias: bool) -> int:
    """The number of the layer after which the streams are joined."""
    first_block = 12 if antialias else 10
    named = {
        "early": first_block - 1,
        "middle": first_block + (blocks + 1) // 2 - 1,
        "late": first_block + blocks + (4 if antialias else 3) - 1,
    }
    number = where if isinstance(where, int) else named[where]
    last = count - 4  # the decoder's last activation
    if not 1 <= number <= last:
        raise GantkError(
            f"the streams cannot be joined after layer {number}",
            where="Mustgan",
            why=f"the layers that can be joined are 1 to {last}",
            mend='use "early", "middle", "late" or one of these numbers',
        )
    return number
