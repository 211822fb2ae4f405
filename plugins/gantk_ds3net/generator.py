"""The DS³-Net generator: one ResNet encoder per input modality, fusion, one decoder."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gantk import Count, Dimensions, Positive
from gantk_baselines.generators.layered import LayeredGenerator
from gantk_baselines.generators.resnet import decoder_layers, encoder_layers
from gantk_baselines.layers import Blocks, Dropout, Init, Norm, initialise, run_layers
from gantk_ds3net.fusion import SoftmaxFusion

__all__ = ["Ds3Generator"]


class Ds3Generator(LayeredGenerator):
    """DS³-Net generator: (B, E, H, W) float, one channel per modality, to (B, out_channels, H, W) in (−1, 1).

    It also works on volumes. All sides are multiples of 4 and at least 8. Layers are numbered as in the antialiased
    ResNet generator: with nine blocks, 0–20 are the encoders, fused after 20, and 21 (the first upsampling) … 31 are
    the decoder.

    Source: Huang et al., "DS³-Net", MICCAI 2022, section 2.2.

    Args:
        in_channels: E, the number of modalities and encoders.
        out_channels: channels of the output.
        channels: width of the first convolution.
        blocks: residual blocks per encoder; other numbers than nine shift the decoder's layer numbers.
        norm: "instance", "batch" or "none".
        dropout: probability inside each residual block.
        reduction: bottleneck of the fusion's excitation.
        skip: "source" passes the source to the last convolution together with the decoder's features, so that sharp
            structure need not pass through the bottleneck; the paper has no skip connection ("none").
        softmax_over: axis of the fusion's softmax, "modalities" or "channels".
        encoder_features: what an encoder layer's number means: "all" encoders' features, stacked
            stream-major along the batch (E · B, C, *spatial); "mean", averaged over the encoders (B, C, *spatial);
            "first", of the first encoder.
        init: "xavier" or "normal".
        init_gain: gain or standard deviation of the initialization.
        dimensions: number of dimensions of an image, 2 or 3.
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
        dropout: Dropout = 0.0,
        reduction: Count = 16,
        skip: Literal["none", "source"] = "none",
        softmax_over: Literal["modalities", "channels"] = "modalities",
        encoder_features: Literal["all", "mean", "first"] = "all",
        init: Init = "xavier",
        init_gain: Positive = 0.02,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.dimensions = dimensions
        self.encoder_features = encoder_features
        self.encoders = nn.ModuleList(
            nn.Sequential(*encoder_layers(1, channels, blocks, norm, True, dropout, dimensions))
            for _ in range(in_channels)
        )
        self.fusion = SoftmaxFusion(in_channels, 4 * channels, reduction, softmax_over)
        self.skip = skip
        skipped = in_channels if skip == "source" else 0
        self.decoder = nn.Sequential(*decoder_layers(out_channels, channels, norm, True, skipped, dimensions))
        self.first_decoder_layer = len(self.encoders[0])
        initialise(self, init, init_gain)

    @property
    def layer_count(self) -> int:
        return self.first_decoder_layer + len(self.decoder)

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        """As in the base class; `encoder_features` determines the features of encoder layers."""
        encoders = list(self.encoders)
        encode_only = last is not None and last < self.first_decoder_layer
        if encode_only and self.encoder_features == "first":
            encoders = encoders[:1]
        runs = [
            run_layers(encoder, modality, layers, last=last)
            for encoder, modality in zip(encoders, image.split(1, dim=1), strict=False)
        ]
        features = {number: self._merge([taken[number] for _, taken in runs]) for number in runs[0][1]}
        if encode_only:
            return None, features
        fused = self.fusion([encoded for encoded, _ in runs])
        output, decoded = self._decode(fused, image, layers, last)
        return output, features | decoded

    def _decode(
        self, fused: Tensor, image: Tensor, layers: tuple[int, ...], last: int | None
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """The output of the decoder or of its last requested layer, and the requested features by number."""
        first = self.first_decoder_layer
        if self.skip == "none":
            return run_layers(self.decoder, fused, layers, first=first, last=last)
        x, features = run_layers(self.decoder[:-3], fused, layers, first=first, last=last)
        join = first + len(self.decoder) - 3
        if last is not None and last < join:
            return x, features
        output, rest = run_layers(self.decoder[-3:], torch.cat([x, image], dim=1), layers, first=join, last=last)
        return output, features | rest

    def _merge(self, streams: list[Tensor]) -> Tensor:
        """The E features (B, C, *spatial) of one layer, merged according to `encoder_features`."""
        match self.encoder_features:
            case "all":
                return torch.cat(streams, dim=0)
            case "mean":
                return torch.stack(streams).mean(dim=0)
            case _:
                return streams[0]
