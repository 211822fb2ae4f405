"""A generator whose encoder is any backbone of timm."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Count, GantkError, Positive, RecipeError
from gantk_baselines.generators.layered import LayeredGenerator
from gantk_baselines.layers import (
    BlurUp,
    Init,
    Norm,
    convolution_bias,
    final_convolution,
    initialise,
    normalisation,
)
from gantk_baselines.pretrained import quiet_hub

__all__ = ["TimmGenerator"]


class TimmGenerator(LayeredGenerator):
    """U-Net with a timm backbone as encoder: (B, in_channels, H, W) to (B, out_channels, H, W) in (−1, 1).

    The decoder doubles the deepest stage's maps step by step, appends the backbone's stages of the same size
    and, at full resolution, the source itself. H and W are multiples of the deepest stage's reduction and at
    least twice it. Layer i is the i-th stage of the backbone; a backbone always runs as a whole.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        backbone: a model name of timm that supports `features_only`, such as resnet18, convnext_atto,
            efficientnet_b0, mobilenetv3_small_100, vit_tiny_patch16_224.
        stages: number of the backbone's stages to use, from the shallowest; default: all.
        channels: width of the decoder at full resolution; it doubles with each halving up to 8 · channels.
        pretrained: start from timm's weights (downloaded once by timm; the first convolution is
            adapted to in_channels).
        norm: norm of the decoder; the backbone keeps its own.
        init: initialization of the decoder; the backbone keeps timm's.
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
        init: Init = "xavier",
        init_gain: Positive = 0.02,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        create = partial(_create, backbone, stages, pretrained=pretrained, image_size=image_size)
        self.backbone, info = self.make_encoder(create)
        self.reductions: list[int] = info.reduction()
        self.stage_channels: list[int] = info.channels()
        self.size_multiple = max(self.reductions)
        self.least = 2 * self.size_multiple
        # stages of one size are merged; from the shallowest stage the decoder continues doubling up to the image's size
        halves = range(math.ceil(math.log2(min(self.reductions))))
        self.scales = sorted({*self.reductions, *(2**i for i in halves), 1}, reverse=True)
        bias = convolution_bias(norm)
        self.steps = nn.ModuleList()
        width = 0
        for scale in self.scales:
            appended = sum(c for c, r in zip(self.stage_channels, self.reductions, strict=True) if r == scale)
            source = width + appended + (in_channels if scale == 1 else 0)
            width = min(channels * scale, 8 * channels)
            self.steps.append(
                nn.Sequential(
                    nn.ReflectionPad2d(1),
                    nn.Conv2d(source, width, 3, bias=bias),
                    normalisation(norm, width),
                    nn.ReLU(),
                )
            )
        self.doubling = BlurUp()
        self.head = nn.Sequential(nn.ReflectionPad2d(1), final_convolution(width, out_channels, 3), nn.Tanh())
        for part in (self.steps, self.head):
            initialise(part, init, init_gain)

    @property
    def layer_count(self) -> int:
        return len(self.reductions)

    def make_encoder(self, create: Callable[[int], nn.Module]) -> tuple[nn.Module, Any]:
        """The encoder, made with a function from a number of channels to a backbone, and timm's facts about its
        stages."""
        backbone = create(self.in_channels)
        return backbone, backbone.feature_info

    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        """As in the base class; a backbone always runs as a whole."""
        stages = self.stages(self.backbone, image)
        return None if last is not None else self.decode(image, stages), {i: stages[i] for i in layers}

    def stages(self, backbone: nn.Module, image: Tensor) -> list[Tensor]:
        """A backbone's stages on an image, from the shallowest, with channels first (Swin returns them last)."""
        return [
            stage if stage.shape[1] == channels else stage.permute(0, 3, 1, 2)
            for stage, channels in zip(backbone(image), self.stage_channels, strict=True)
        ]

    def decode(self, image: Tensor, stages: list[Tensor]) -> Tensor:
        """The output (B, out_channels, H, W) for an image and its encoder's stages, from the shallowest."""
        x: Tensor | None = None
        for scale, step in zip(self.scales, self.steps, strict=True):
            parts = [s for s, r in zip(stages, self.reductions, strict=True) if r == scale]
            if scale == 1:
                parts.append(image)
            if x is not None:
                size = (image.shape[-2] // scale, image.shape[-1] // scale)
                parts.insert(0, self._grow(x, size))
            x = step(torch.cat(parts, dim=1))
        return self.head(x)

    def _grow(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        if size == (2 * x.shape[-2], 2 * x.shape[-1]):
            return self.doubling(x)
        return F.interpolate(x, size=size, mode="bilinear")


def _create(
    backbone: str, stages: int | None, in_channels: int, *, pretrained: bool, image_size: tuple[int, int] | None
) -> nn.Module:
    """The backbone as a list of stages, with every failure explained."""
    import timm  # takes seconds

    if not timm.is_model(backbone):
        near = ", ".join(difflib.get_close_matches(backbone, timm.list_models(), n=3))
        raise RecipeError(
            f"timm has no backbone {backbone!r}",
            where="TimmGenerator",
            why=f"the nearest names are {near}" if near else None,
            mend="choose one of `timm.list_models()`",
        )
    options: dict[str, Any] = {"pretrained": pretrained, "in_chans": in_channels, "features_only": True}
    if stages is not None:
        options["out_indices"] = tuple(range(stages))
    config = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    if image_size is not None and config is not None and config.fixed_input_size:
        options["img_size"] = tuple(image_size)
    try:
        with quiet_hub():
            return timm.create_model(backbone, **options)
    except (OSError, RuntimeError, ValueError, AssertionError, TypeError, AttributeError, IndexError) as error:
        if pretrained:
            mend = (
                "set pretrained = false, or load the weights once on a machine with internet, "
                f"`timm.create_model({backbone!r}, pretrained=True)`, and copy the Hugging Face cache here"
            )
        else:
            mend = "ask for fewer stages, or choose a backbone with features_only at this image size, such as resnet18"
        raise GantkError(
            f"the backbone {backbone!r} cannot be built" + (" with its weights" if pretrained else ""),
            where="TimmGenerator",
            why=f"timm says: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            mend=mend,
        ) from error
