"""The difficulty map: where the discriminator sees through the synthesis (DS³-Net, eq. 1)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gantk import NonNegative, Positive, View


class DifficultyMap:
    """|1 − D(G(x))| where any input shows tissue, a small constant in the background (DS³-Net, eq. 1).

    The PatchGAN's score map is brought to image size. The paper leaves open whether the map is bounded: by default it
    is neither clamped nor normalised.

    Args:
        background: weight where every input is background.
        interpolation: how the patch scores are brought to image size.
        clamp: largest weight; unbounded where absent.
        normalise: divide each image's map by its mean or maximum over the foreground, or leave it.
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
        size = view.source.shape[-2:]
        align = {"align_corners": False} if self.interpolation == "bilinear" else {}
        difficulty = F.interpolate(difficulty, size=size, mode=self.interpolation, **align)
        if self.clamp is not None:
            difficulty = difficulty.clamp(max=self.clamp)
        foreground = view.foreground
        if self.normalise != "none":
            inside = torch.where(foreground, difficulty, 0.0)
            if self.normalise == "max":
                scale = inside.amax(dim=(1, 2, 3), keepdim=True)
            else:
                scale = inside.sum(dim=(1, 2, 3), keepdim=True) / foreground.sum(dim=(1, 2, 3), keepdim=True).clamp_min(
                    1
                )
            difficulty = difficulty / scale.clamp_min(1e-6)
        return torch.where(foreground, difficulty, self.background)
