"""Weight maps that need no network."""

from __future__ import annotations

from typing import Annotated

import torch
from kornia.filters import sobel, spatial_gradient3d
from pydantic import Field
from torch import Tensor

from gantk import Distinct, ImageRef, Needs, NonNegative, View
from gantk_baselines.dimensional import everything

__all__ = ["Edges", "Foreground", "TumourMask", "Uniform"]

Label = Annotated[int, Field(ge=1, le=255)]


class Uniform:
    """The same weight everywhere.

    Args:
        value: the weight.
    """

    def __init__(self, value: NonNegative = 1.0) -> None:
        self.value = value

    def __call__(self, view: View) -> Tensor:
        return torch.full_like(view.source[:, :1], self.value)


class Foreground:
    """One weight where any input is above the background, another elsewhere.

    Args:
        inside: weight of the foreground.
        outside: weight of the background.
    """

    def __init__(self, inside: NonNegative = 1.0, outside: NonNegative = 0.0) -> None:
        self.inside, self.outside = inside, outside

    def __call__(self, view: View) -> Tensor:
        return torch.where(view.foreground, self.inside, self.outside)


class TumourMask:
    """One weight inside the tumor, another elsewhere.

    Args:
        inside: weight of every voxel with one of the labels.
        outside: weight of all other voxels.
        labels: the labels that count as tumor.
    """

    needs = Needs(segmentation=True)

    def __init__(
        self, inside: NonNegative = 5.0, outside: NonNegative = 1.0, labels: Distinct[Label] = (1, 2, 4)
    ) -> None:
        self.inside, self.outside = inside, outside
        self.labels = labels

    def __call__(self, view: View) -> Tensor:
        tumor = torch.stack([view.segmentation == label for label in self.labels]).any(dim=0)
        return torch.where(tumor, self.inside, self.outside)


class Edges:
    """Weight that grows with the gradient's magnitude, 1 + strength · |∇y| / max|∇y| per image.

    The gradient is computed by Sobel filters, for volumes by central differences.

    Args:
        of: the image whose edges are used.
        strength: weight added at the strongest edge.
    """

    def __init__(self, of: ImageRef = ImageRef("target"), strength: NonNegative = 2.0) -> None:
        self.of = of
        self.strength = strength

    def __call__(self, view: View) -> Tensor:
        image = view.image(self.of)
        steep = sobel(image) if image.ndim == 4 else spatial_gradient3d(image).square().sum(dim=2).sqrt()
        magnitude = steep.mean(dim=1, keepdim=True)
        strongest = magnitude.amax(dim=everything(magnitude), keepdim=True).clamp_min(1e-6)
        return 1 + self.strength * magnitude / strongest
