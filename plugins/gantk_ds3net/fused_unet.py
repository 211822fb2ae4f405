"""DS³-Net's encoders and fusion with backbones of timm, and a U-Net's decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gantk import Count, Positive
from gantk_baselines.generators import TimmGenerator
from gantk_baselines.layers import Init, Norm, initialise
from gantk_ds3net.fusion import SoftmaxFusion

__all__ = ["Ds3Unet"]


class Ds3Unet(TimmGenerator):
    """One timm backbone per input modality, DS³-Net's fusion at each stage, and one U-Net decoder: (B, E, H, W) float,
    one channel per modality, to (B, out_channels, H, W) in (−1, 1).

    DS³-Net fuses once, after its last encoder layer, and has no skip connections. Here the fusion of every stage is
    passed to the decoder, as in `timm`. H and W are as for `timm`. Layer i is the i-th stage of all encoders, stacked
    stream-major along the batch (E · B, C, H / r, W / r); the encoders always run as a whole.

    Sources: Huang et al., "DS³-Net", MICCAI 2022, section 2.2, for encoders and fusion; Ronneberger et al., "U-Net",
    MICCAI 2015, for the skip connections. The combination is our own.

    Args:
        in_channels: E, the number of modalities and encoders.
        out_channels: channels of the output.
        backbone: a model name of timm that supports `features_only`, such as resnet18 or convnext_atto.
        stages: number of the backbone's stages to use, from the shallowest; default: all.
        channels: width of the decoder at full resolution; it doubles with each halving up to 8 · channels.
        pretrained: start from timm's weights (downloaded once by timm).
        norm: norm of the decoder; the backbones keep their own.
        reduction: bottleneck of the fusions' excitation.
        init: initialization of decoder and fusions; the backbones keep timm's.
        init_gain: gain or standard deviation of the initialization.
        image_size: (H, W) for backbones that are built for one size (ViT, Swin); others accept any size.

    Raises:
        GantkError: the backbone is unknown or offers no features, or its weights could not be loaded.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        backbone: str = "resnet18",
        stages: Count | None = None,
        channels: Count = 32,
        pretrained: bool = False,
        norm: Norm = "instance",
        reduction: Count = 16,
        init: Init = "xavier",
        init_gain: Positive = 0.02,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, backbone, stages, channels, pretrained, norm, init, init_gain, image_size
        )
        self.fusions = nn.ModuleList(SoftmaxFusion(in_channels, width, reduction) for width in self.stage_channels)
        initialise(self.fusions, init, init_gain)

    def make_encoder(self, create: Callable[[int], nn.Module]) -> tuple[nn.Module, Any]:
        """A backbone of one channel for each modality."""
        backbones = [create(1) for _ in range(self.in_channels)]
        return nn.ModuleList(backbones), backbones[0].feature_info

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        """As in the base class; the encoders always run as a whole."""
        assert isinstance(self.backbone, nn.ModuleList)
        modalities = image.split(1, dim=1)
        runs = [self.stages(one, modality) for one, modality in zip(self.backbone, modalities, strict=True)]
        streams = [list(stage) for stage in zip(*runs, strict=True)]
        features = {number: torch.cat(streams[number]) for number in layers}
        if last is not None:
            return None, features
        fused = [fusion(stage) for fusion, stage in zip(self.fusions, streams, strict=True)]
        return self.decode(image, fused), features
