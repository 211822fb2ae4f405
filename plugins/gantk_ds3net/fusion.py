"""Fusion of the encoders' features: squeeze and excitation with softmax instead of sigmoid."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gantk_baselines.dimensional import pixels

__all__ = ["SoftmaxFusion"]


class SoftmaxFusion(nn.Module):
    """Fuse E feature maps (B, C, *spatial) into one (B, C, *spatial) by learned channel weights that sum to one.

    Squeeze: the global average of all E · C channels, s ∈ (B, E · C). Excitation: z = W₂ ReLU(W₁ s), of the
    same shape. Weights w = softmax(z), output Σₑ wₑ · xₑ per channel.

    Sources: Huang et al., "DS³-Net", MICCAI 2022, section 2.2; Hu et al., "Squeeze-and-excitation networks",
    CVPR 2018. The paper only says "replacing sigmoid with softmax"; `softmax_over` sets the axis.

    Args:
        encoders: E.
        channels: C.
        reduction: the bottleneck has E · C / reduction units, at least 1.
        softmax_over: "modalities": for each channel the E weights sum to one, a fusion in the strict sense;
            "channels": one softmax over all E · C entries as in the letter of the paper, times C, so that
            weights average 1 / E in both.
    """

    def __init__(
        self,
        encoders: int,
        channels: int,
        reduction: int = 16,
        softmax_over: Literal["modalities", "channels"] = "modalities",
    ) -> None:
        super().__init__()
        self.softmax_over = softmax_over
        width = encoders * channels
        hidden = max(1, width // reduction)
        self.excitation = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def weights(self, streams: list[Tensor]) -> Tensor:
        """The weights (E, B, C) for E maps (B, C, *spatial)."""
        squeezed = torch.cat([stream.mean(dim=pixels(stream)) for stream in streams], dim=1)
        logits = self.excitation(squeezed)
        batch, channels = streams[0].shape[:2]
        if self.softmax_over == "modalities":
            weights = logits.view(batch, len(streams), channels).softmax(dim=1)
        else:
            weights = (logits.softmax(dim=1) * channels).view(batch, len(streams), channels)
        return weights.transpose(0, 1)

    def forward(self, streams: list[Tensor]) -> Tensor:
        weights = self.weights(streams).to(streams[0].dtype)
        weights = weights[(..., *[None] * (streams[0].ndim - 2))]
        fused = weights[0] * streams[0]
        for weight, stream in zip(weights[1:], streams[1:], strict=True):
            fused = torch.addcmul(fused, weight, stream)
        return fused
