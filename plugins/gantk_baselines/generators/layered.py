"""The base class of generators with numbered layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import overload

from torch import Tensor, nn

from gantk import Translation
from gantk_baselines.layers import check_image, check_layers

__all__ = ["LayeredGenerator"]


class LayeredGenerator(nn.Module, ABC):
    """A generator whose layers have numbers, so that features can be taken in the pass that translates.

    Attributes:
        in_channels: channels of the source.
        size_multiple: what all sides of an image must be multiples of, or what each must.
        least: the smallest side.
        dimensions: of an image, 2 for slices and 3 for volumes.
    """

    in_channels: int
    size_multiple: int | tuple[int, ...] = 1
    least: int = 1
    dimensions: int = 2

    @property
    @abstractmethod
    def layer_count(self) -> int:
        """The number of layers, which are numbered from 0."""

    @abstractmethod
    def run(self, image: Tensor, layers: tuple[int, ...], last: int | None) -> tuple[Tensor | None, dict[int, Tensor]]:
        """Run the layers up to `last`, all where None.

        Args:
            image: (B, in_channels, *spatial) in [−1, 1].
            layers: numbers of the layers whose outputs are wanted.
            last: the last number that is wanted.

        Returns:
            The output (B, out_channels, *spatial), anything where it stops before its end, and the features by number.
        """

    @overload
    def forward(self, image: Tensor, layers: tuple[()] = (), decode: bool = True) -> Tensor: ...
    @overload
    def forward(self, image: Tensor, layers: tuple[int, ...], decode: bool = True) -> Translation: ...
    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        """Translate, and take features in the same pass.

        Args:
            image: (B, in_channels, *spatial) in [−1, 1].
            layers: numbers of the layers whose outputs are wanted.
            decode: False stops after the last wanted layer and gives no output.

        Returns:
            The output (B, out_channels, *spatial), or with layers the output and the features by number,
            (S·B, C, *spatial) from S parallel encoders.

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
