"""The base class of generators with numbered layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import overload

from torch import Tensor, nn

from gantk import Translation
from gantk_baselines.layers import check_image, check_layers

__all__ = ["LayeredGenerator"]


class LayeredGenerator(nn.Module, ABC):
    """A generator with numbered layers, so that features can be extracted in the same pass as the translation.

    Attributes:
        in_channels: channels of the source.
        size_multiple: all sides of an image must be multiples of this number, or of one number per side.
        least: the smallest side.
        dimensions: number of spatial dimensions, 2 for slices and 3 for volumes.
    """

    in_channels: int
    size_multiple: int | tuple[int, ...] = 1
    least: int = 1
    dimensions: int = 2

    @property
    @abstractmethod
    def layer_count(self) -> int:
        """The number of layers, numbered from 0."""

    @abstractmethod
    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        """Run the layers up to `last`; None runs all layers.

        Args:
            image: (B, in_channels, *spatial) in [−1, 1].
            layers: numbers of the layers whose outputs are wanted.
            last: number of the last layer to run.

        Returns:
            The output (B, out_channels, *spatial), which is arbitrary if the run stops before the end, and the features
            by number.
        """

    @overload
    def forward(self, image: Tensor, layers: tuple[()] = (), decode: bool = True) -> Tensor: ...
    @overload
    def forward(self, image: Tensor, layers: tuple[int, ...], decode: bool = True) -> Translation: ...
    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        """Translate, and extract features in the same pass.

        Args:
            image: (B, in_channels, *spatial) in [−1, 1].
            layers: numbers of the layers whose outputs are wanted.
            decode: False stops after the last of `layers` and returns no output.

        Returns:
            The output (B, out_channels, *spatial); with `layers`, the output and the features by number,
            (S·B, C, *spatial) for S parallel encoders.

        Raises:
            GantkError: the image's shape or a layer number does not fit.
        """
        name = type(self).__name__
        check_image(image, self.in_channels, self.size_multiple, name, self.least, self.dimensions)
        check_layers(layers, self.layer_count, name)
        output, features = self.run(image, layers, None if decode else max(layers, default=-1))
        if layers or not decode:
            return Translation(output if decode else None, features)
        assert output is not None
        return output
