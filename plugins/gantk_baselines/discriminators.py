"""The N-layer PatchGAN discriminator of pix2pix, and PatchGANs at several scales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, overload

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gantk import Count, Dimensions, Judgement, Positive
from gantk_baselines.dimensional import AVERAGE_POOL, CONVOLUTION, CONVOLUTIONS
from gantk_baselines.layers import (
    BlurDown,
    Init,
    Levels,
    Norm,
    check_image,
    check_layers,
    convolution_bias,
    initialise,
    normalisation,
    run_layers,
)

__all__ = ["MultiscalePatchGan", "PatchGan"]


class PatchGan(nn.Module):
    """PatchGAN: (B, in_channels, H, W) float to a map of scores (B, 1, ⌊H/2ⁿ⌋ − 2, ⌊W/2ⁿ⌋ − 2), without activation. It
    also works on volumes.

    The receptive field of a score is 70×70 pixels with n = 3 layers, 34×34 with 2, and 16×16 with 1. With n = 3,
    256² gives 30×30 and 224² gives 26×26. All sides are at least 3 · 2ⁿ.

    Layers are numbered as one sequence: 0 convolution, 1 LeakyReLU, then 2–4, 5–7, 8–10 convolution, norm, LeakyReLU,
    11 the scores; antialiased halving adds a layer after each LeakyReLU except the last.

    Sources: Isola et al., "pix2pix", CVPR 2017; antialiased sampling as in CUT; spectral norm: Miyato et al., ICLR
    2018, W / σ(W), σ by one power iteration per forward pass in training.

    Args:
        in_channels: channels of the judged image (plus the source's if the discriminator is conditional).
        channels: width of the first convolution; widths are channels · 1, 2, 4, 8, 8, …
        layers: n, the number of halvings.
        norm: "instance", "batch" or "none"; convolutions before batch norm have no bias.
        antialias: blurred halving instead of strided convolutions.
        spectral: divide the weights of every convolution by their largest singular value.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization.
        dimensions: number of dimensions of an image, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Count = 64,
        layers: Levels = 3,
        norm: Norm = "instance",
        antialias: bool = False,
        spectral: bool = False,
        init: Init = "normal",
        init_gain: Positive = 0.02,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.dimensions = dimensions
        convolution = CONVOLUTION[dimensions]
        self.least = 3 * 2**layers
        widths = [channels * min(2**level, 8) for level in range(layers + 1)]
        stack: list[nn.Module] = []
        for level, width in enumerate(widths):
            halve = level < layers
            stride = 2 if halve and not antialias else 1
            source = widths[level - 1] if level else in_channels
            bias = convolution_bias(norm) or level == 0  # the first convolution has no norm
            stack.append(convolution(source, width, 4, stride, padding=1, bias=bias))
            if level:
                stack.append(normalisation(norm, width, dimensions))
            stack.append(nn.LeakyReLU(0.2))
            if halve and antialias:
                stack.append(BlurDown())
        self.layers = nn.Sequential(*stack, convolution(widths[-1], 1, 4, padding=1))
        initialise(self, init, init_gain)
        if spectral:  # after the initialization, which could not reach the weights behind it
            for layer in self.layers:
                if isinstance(layer, CONVOLUTIONS):
                    spectral_norm(layer)

    @overload
    def forward(self, image: Tensor, layers: tuple[()] = ()) -> Tensor: ...
    @overload
    def forward(self, image: Tensor, layers: tuple[int, ...]) -> Judgement: ...
    def forward(self, image: Tensor, layers: tuple[int, ...] = ()) -> Tensor | Judgement:
        """Judge every patch, and take features in the same pass.

        Args:
            image: (B, in_channels, *spatial) in [−1, 1].
            layers: numbers of the layers whose outputs are returned.

        Returns:
            Scores (B, 1, *spatial), unbounded, or, with layers, the scores and the features by number.

        Raises:
            GantkError: the number of channels is wrong, the image is too small for one patch, or there is no such
                layer.
        """
        check_image(image, self.in_channels, 1, "PatchGan", self.least, self.dimensions)
        check_layers(layers, len(self.layers), "PatchGan")
        scores, features = run_layers(self.layers, image, layers)
        return Judgement(scores, features) if layers else scores


class MultiscalePatchGan(nn.Module):
    """PatchGANs on the image, its half, its quarter and so on: (B, in_channels, H, W) to a map of scores for each.

    It also works on volumes. The image is halved by averaging 3 × 3 pixels (3 × 3 × 3 voxels). If it receives `labels`
    (categories per pixel), it judges them with the image. Layers are numbered through all scales, from the full size:
    layer l of scale s is s·(3·layers + 3) + l.

    Source: Wang et al., "High-resolution image synthesis and semantic manipulation with conditional GANs" (pix2pixHD),
    CVPR 2018 (3 scales of 3 layers).

    Args:
        in_channels: channels of the judged image (plus the source's if the discriminator is conditional).
        given: number of channels of the labels.
        scales: number of PatchGANs.
        channels: number of channels of each PatchGAN's first convolution.
        layers: number of halvings in each PatchGAN.
        norm: "instance", "batch" or "none".
        spectral: divide the weights of every convolution by their largest singular value.
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization.
        dimensions: number of dimensions of an image, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        given: Mapping[str, int],
        scales: Annotated[int, Field(ge=1, le=8)] = 3,
        channels: Count = 64,
        layers: Levels = 3,
        norm: Norm = "instance",
        spectral: bool = False,
        init: Init = "normal",
        init_gain: Positive = 0.02,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        taken = in_channels + given.get("labels", 0)
        self.scales = nn.ModuleList(
            PatchGan(taken, channels, layers, norm, False, spectral, init, init_gain, dimensions) for _ in range(scales)
        )
        self.halve = AVERAGE_POOL[dimensions](3, stride=2, padding=1, count_include_pad=False)

    def forward(
        self, image: Tensor, layers: tuple[int, ...] = (), *, labels: Tensor | None = None
    ) -> tuple[Tensor, ...] | Judgement:
        """Judge every patch at every scale, and take features in the same pass. Raises as `PatchGan` does.

        Returns:
            Scores (B, 1, *spatial) by scale, or, with layers, the scores and the features by number.
        """
        x = image if labels is None else torch.cat([image, labels], dim=1)
        count = len(self.scales[0].layers)
        check_layers(layers, count * len(self.scales), "MultiscalePatchGan")
        found, features = [], {}
        for scale, network in enumerate(self.scales):
            if scale:
                x = self.halve(x)
            wanted = tuple(layer - scale * count for layer in layers if layer // count == scale)
            judged = network(x, wanted)
            scores, own = judged if isinstance(judged, Judgement) else (judged, {})
            found.append(scores)
            features |= {scale * count + layer: feature for layer, feature in own.items()}
        return Judgement(tuple(found), features) if layers else tuple(found)
