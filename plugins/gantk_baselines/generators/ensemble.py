"""Several networks of one kind: their mean is the image, and their spread shows where they disagree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gantk import Dimensions, Generator, Translation

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """The mean of K networks of one architecture with different initial weights, and their `spread`.

    `gantk predict --also spread` writes the standard deviation over the networks, (B, 1, *spatial), averaged over
    targets, in the normalized range. Source: Lakshminarayanan et al., "Simple and scalable predictive uncertainty
    estimation using deep ensembles", NeurIPS 2017; here the networks are trained together, on the error of their mean.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        of: the generator component that is repeated.
        members: K, the number of networks.
        dimensions: number of spatial dimensions; passed to the networks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        of: Callable[..., Generator],
        members: Annotated[int, Field(ge=2, le=100)] = 3,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(of() for _ in range(members))
        self.size_multiple = getattr(self.members[0], "size_multiple", 1)

    def forward(self, image: Tensor) -> Translation:
        """(B, C, *spatial) to (B, out_channels, *spatial), with the spread."""
        made = torch.stack([member(image) for member in self.members])
        return Translation(made.mean(0), {}, {"spread": made.std(0).mean(1, keepdim=True)})
