"""Any generator with extra inputs, which are appended to the image as further channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from gantk import Dimensions, Generator, Translation

__all__ = ["Told"]


class Told(nn.Module):
    """A generator that receives extra inputs as planes appended to the image's channels.

    Args:
        in_channels: channels of the source.
        given: channels of the extra inputs, by name.
        of: the generator component that receives the planes.
        dimensions: number of spatial dimensions.
    """

    def __init__(
        self, in_channels: int, given: Mapping[str, int], of: Callable[..., Generator], dimensions: Dimensions = 2
    ) -> None:
        super().__init__()
        self.network = of(in_channels=in_channels + sum(given.values()))
        self.names = sorted(given)
        self.size_multiple = getattr(self.network, "size_multiple", 1)

    def forward(
        self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True, **given: Tensor
    ) -> Tensor | Translation:
        """(B, in_channels, *spatial) with extra inputs (B, K) or (B, K, *spatial) to (B, out_channels, *spatial)."""
        planes = [image]
        for name in self.names:
            values = given[name]
            while values.ndim < image.ndim:
                values = values[..., None]
            planes.append(values.expand(*values.shape[:2], *image.shape[2:]))
        taken = torch.cat(planes, dim=1)
        made: Tensor | Translation = self.network(taken, layers, decode) if layers else self.network(taken)
        return made
