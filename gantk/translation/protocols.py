"""The interfaces of generators, discriminators, losses, weight maps and transforms.

Spatial is (H, W) of slices and (D, H, W) of volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NewType, Protocol, runtime_checkable

from torch import Tensor

from gantk.errors import PluginError, nearest
from gantk.plugins.nested import stands_for

if TYPE_CHECKING:
    from gantk.data.batch import Group
    from gantk.translation.view import View

Role = NewType("Role", str)
"""A component's parameter of this type names a translator of the recipe; the core checks that it exists."""

ImageRef = NewType("ImageRef", str)
"""A component's parameter of this type names an image of the step.

`source` and `target` are the input and target of the term's translator in the term's own group, `GROUP.source` and
`GROUP.target` the inputs and targets of a group; `ROLE.output` is that translator's output for the term's group.
"""


@dataclass(frozen=True)
class Translation:
    """A generator's output, the requested features, and additional outputs.

    `output` is `(B, out_channels, *spatial)` in [-1, 1], None where the generator stopped before its end; `features`
    holds `(B, C, *spatial)` by layer number, `(S·B, C, *spatial)` stream by stream from S parallel encoders;
    `extra` holds further outputs by name, which terms ask for (`view.extra`); those of `(B, 1, *spatial)` can
    be predicted (`gantk predict --also NAME`). A generator with additional outputs always returns a `Translation`, even
    if no layers are requested. It unpacks into output and features.
    """

    output: Tensor | None
    features: dict[int, Tensor]
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.output, self.features))

    @classmethod
    def of(cls, answer: Tensor | Translation) -> Translation:
        """A generator's result as a `Translation`, with or without features and extra outputs."""
        return answer if isinstance(answer, Translation) else cls(answer, {})

    def changed(self, change: Callable[[Tensor], Tensor]) -> Translation:
        """The same with every tensor changed."""
        output = None if self.output is None else change(self.output)
        features = {layer: change(feature) for layer, feature in self.features.items()}
        return Translation(output, features, {name: change(made) for name, made in self.extra.items()})


class Judgement(NamedTuple):
    """A discriminator's scores `(B, K, *spatial)`, a tuple of them for several scales, and the requested features,
    `(B, C, *spatial)` by layer number."""

    scores: Tensor | tuple[Tensor, ...]
    features: dict[int, Tensor]


def no_extra(name: str, made: Iterable[str], origin: str, where: str | None = None) -> PluginError:
    """The error that a generator has no additional output of this name."""
    return PluginError(
        f"the {origin} has no further output {name!r}",
        where=where,
        mend=f"{nearest(name, made)}; to add outputs, return gantk.Translation(output, {{}}, extra)",
    )


def output_of(answer: Tensor | Translation) -> Tensor:
    """The image in a generator's result."""
    output = Translation.of(answer).output
    assert output is not None
    return output


@dataclass(frozen=True)
class Moment:
    """Where in the training a step is: its stage, that stage's epoch (from 0) and length, and the step over the run."""

    stage: str
    epoch: int
    epochs: int
    step: int


@stands_for("transform")
class Transform(Protocol):
    """Changes training batches; draws from torch's global generator, which is seeded for each step and group."""

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The changed group, to be trained on; the given group stays unchanged."""


@stands_for("generator")
class Generator(Protocol):
    """A network that translates images; an `nn.Module`. Its constructor is given `in_channels` and `out_channels`."""

    def forward(self, image: Tensor, /) -> Tensor | Translation:
        """`(B, in_channels, *spatial)` in [-1, 1] → `(B, out_channels, *spatial)` in [-1, 1]."""


@stands_for("generator")
class FeatureGenerator(Protocol):
    """A generator whose layers have numbers, so that features can be taken in the pass that translates."""

    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        """The output, or with `layers` a `Translation`; `decode=False` stops after the last layer that is wanted."""


@stands_for("discriminator")
class Discriminator(Protocol):
    """A network that judges images; an `nn.Module`. Its constructor is given `in_channels`."""

    def forward(self, image: Tensor, /) -> Tensor | tuple[Tensor, ...]:
        """`(B, in_channels, *spatial)` in [-1, 1] → scores `(B, K, *spatial)`; of several scales a tuple of them."""


@stands_for("discriminator")
class FeatureDiscriminator(Protocol):
    """A discriminator whose layers have numbers."""

    def forward(self, image: Tensor, layers: tuple[int, ...] = ()) -> Tensor | tuple[Tensor, ...] | Judgement:
        """The scores, or with `layers` a `Judgement`."""


@stands_for("augmentation")
class Augmentation(Protocol):
    """Changes the images that a discriminator judges in training, real and translated ones alike; an `nn.Module`.

    It is differentiable in the image, draws from torch's global generator, and keeps its state in buffers. An
    optional member, `observe(scores, images)`, is told the scores of real images in the discriminator's update.
    """

    def __call__(self, image: Tensor) -> Tensor:
        """`(B, C, *spatial)`, with the source stacked on it where the discriminator is conditional → the same shape."""


@dataclass(frozen=True)
class Sizes:
    """The sizes for which a term's own modules are built.

    Args:
        takes: input channels of the term's translator.
        gives: its output channels.
        image: (H, W) of both, (D, H, W) of volumes.
        features: channels of its generator's features by layer, for `needs.layers`.
        judged: channels of its discriminator's features by layer, for `needs.judged`.
        others: as `features`, of the translators in `needs.roles`, by role.
    """

    takes: int
    gives: int
    image: tuple[int, ...]
    features: Mapping[int, int]
    judged: Mapping[int, int]
    others: Mapping[str, Mapping[int, int]]


@dataclass(frozen=True)
class Needs:
    """A loss's needs in a step; read once, when the recipe is built.

    Args:
        layers: generator features of `image`, by layer number.
        roles: further translators, besides the term's own, whose features or output on the source it needs; with
            `output`, they must give the same images as the term's own.
        output: whether it needs translated images; False lets the generator stop after the last layer.
        target: whether its group must carry targets.
        second_order: whether it differentiates through a gradient (penalties).
        image: the image whose features `layers` are.
        judged: discriminator features, by layer number.
        pool: images that its pool of past outputs holds (`View.pooled`); 0 for none.
        start: whether its translator must change an input (`View.start`).
        segmentation: whether it reads the patients' labels (`View.segmentation`); the run notes who has none.
    """

    layers: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    output: bool = True
    target: bool = False
    second_order: bool = False
    image: str = "source"
    judged: tuple[int, ...] = ()
    pool: int = 0
    start: bool = False
    segmentation: bool = False


@stands_for("loss")
@runtime_checkable
class Loss(Protocol):
    """A loss: called with the step as its term sees it, returns a scalar that the generator descends.

    Either side may return None in a step in which it is absent (`view.moment` tells the step), and a loss with only a
    `discriminator` need not be callable.

    Optional members: `needs` (a `Needs`); `discriminator(view)` (a scalar that the discriminator descends);
    `build_modules(sizes)` (modules of the term's own by the side that they learn with, "generator" or "discriminator",
    which `view.head` gives to that side alone); `shared` (a name; terms of one translator with the same name and equal
    shapes of modules share their modules; by default each term has its own).
    """

    def __call__(self, view: View) -> Tensor | None:
        """The generator's loss, a scalar; None in a step in which there is none."""


@stands_for("weight_schedule")
@runtime_checkable
class WeightSchedule(Protocol):
    """A term's weight over the training; it has no state, so that a resumed run continues exactly."""

    def __call__(self, moment: Moment) -> float:
        """The factor on the generator's side of the term in this step."""


class Balance(Protocol):
    """Combines the losses of several terms into one; an `nn.Module`, whose weights learn with the generator at the rate
    of heads.

    Its constructor is given `terms`, their names. Its state belongs in buffers.
    """

    def __call__(self, losses: Mapping[str, Tensor], view: View) -> Tensor:
        """The generator's loss, a scalar, from the losses of the terms present in a step, by name, each with its own
        weight as a factor; `view` is the step as the first of them sees it, without a weight map."""


@stands_for("weight_map")
@runtime_checkable
class WeightMap(Protocol):
    """A weight map: called with the step as a term sees it, without gradient.

    Optional member: `needs` (a `Needs`), of which `roles` and `segmentation` have a meaning here.
    """

    def __call__(self, view: View) -> Tensor:
        """Weights `(B, 1, *spatial)`, float, at least 0."""
