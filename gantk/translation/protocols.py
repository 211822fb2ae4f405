"""What the core expects of generators, discriminators, losses and weight maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NewType, Protocol, runtime_checkable

from torch import Tensor, nn

if TYPE_CHECKING:
    from gantk.translation.view import View

Role = NewType("Role", str)
"""A component's parameter of this type names a translator of the recipe; the core checks that it exists."""

ImageRef = NewType("ImageRef", str)
"""A component's parameter of this type names an image of the step.

`target` and `source` are those of the term's own group, `GROUP.target` and `GROUP.source` those of another group,
`ROLE.output` is what that translator makes of the term's source.
"""


class Translation(NamedTuple):
    """A generator's output and the features that were asked for.

    `output` is `(B, out_channels, H, W)` in [-1, 1], None where the generator stopped before its end;
    `features` holds `(B, C, h, w)` by layer number, `(S·B, C, h, w)` stream by stream from S parallel encoders.
    """

    output: Tensor | None
    features: dict[int, Tensor]


class Generator(Protocol):
    """Translates `(B, in_channels, H, W)` to `(B, out_channels, H, W)`, both in [-1, 1].

    A generator without features takes the image alone and returns a tensor. One with features also takes the layers
    wanted and whether to decode, and returns a `Translation` when layers are asked for.
    """

    def __call__(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        """Translate, or compute features only (`decode=False`)."""


@dataclass(frozen=True)
class Needs:
    """What a loss needs of a step; read once, when the recipe is built.

    Args:
        layers: generator features of the term's source, by layer number.
        roles: further translators, besides the term's own, whose features or output on the source it needs.
        output: whether it needs translated images; False lets the generator stop after the last layer.
        target: whether its group must carry targets.
        second_order: whether it differentiates through a gradient (penalties).
    """

    layers: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    output: bool = True
    target: bool = False
    second_order: bool = False


@runtime_checkable
class Loss(Protocol):
    """A loss: called with the step as its term sees it, returns a scalar that the generator descends.

    Optional members: `needs` (a `Needs`), `build_head(channels)` (a projection head trained with the generator),
    `discriminator(view)` (a scalar that the discriminator descends).
    """

    def __call__(self, view: View) -> Tensor:
        """The generator's loss, a scalar."""


class HeadBuilder(Protocol):
    """A loss with projection heads."""

    def build_head(self, channels: Mapping[int, int]) -> nn.Module:
        """The heads for features with these channels by layer."""


@runtime_checkable
class WeightMap(Protocol):
    """A weight map: called with the step as a term sees it, without gradient."""

    def __call__(self, view: View) -> Tensor:
        """Weights `(B, 1, H, W)`, float, at least 0."""
