"""The difficulty map: high where the discriminator recognizes the output as synthesized (DS³-Net, eq. 1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gantk import NonNegative, Positive, View
from gantk_baselines.dimensional import everything, resampled


class DifficultyMap:
    """|1 − D(G(x))| where any input shows tissue, a small constant in the background (DS³-Net, eq. 1).

    The PatchGAN's score map is resized to the image's size. The paper does not say whether the map is bounded: by
    default, it is neither clamped nor normalized.

    Args:
        background: weight where every input is background.
        interpolation: how the patch scores are resized to the image's size; "bilinear" is trilinear in volumes.
        clamp: largest weight; unbounded by default.
        normalise: divide each image's map by its mean or maximum over the foreground; "none" leaves it unchanged.
    """

    def __init__(
        self,
        background: NonNegative = 0.2,
        interpolation: Literal["bilinear", "nearest"] = "bilinear",
        clamp: Positive | None = None,
        normalise: Literal["none", "mean", "max"] = "none",
    ) -> None:
        self.background = background
        self.interpolation = interpolation
        self.clamp = clamp
        self.normalise = normalise

    def __call__(self, view: View) -> Tensor:
        difficulty = (1 - view.judge()).abs().mean(dim=1, keepdim=True)  # over the scores of several targets
        mode: Literal["linear", "nearest"] = "linear" if self.interpolation == "bilinear" else "nearest"
        difficulty = resampled(difficulty, view.source.shape[2:], mode)
        if self.clamp is not None:
            difficulty = difficulty.clamp(max=self.clamp)
        foreground = view.foreground
        if self.normalise != "none":
            inside, each = torch.where(foreground, difficulty, 0.0), everything(difficulty)
            if self.normalise == "max":
                scale = inside.amax(dim=each, keepdim=True)
            else:
                scale = inside.sum(dim=each, keepdim=True) / foreground.sum(dim=each, keepdim=True).clamp_min(1)
            difficulty = difficulty / scale.clamp_min(1e-6)
        return torch.where(foreground, difficulty, self.background)
