"""A translator: a generator with its discriminator and the modules of its terms, under a role."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from math import lcm
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from gantk.data.extra import blank, encoded
from gantk.data.layout import Domain
from gantk.errors import PluginError
from gantk.recipe.data import ExtraSettings
from gantk.recipe.values import Update
from gantk.translation.checkpointing import checkpointed, divide
from gantk.translation.pool import ImagePool
from gantk.translation.protocols import Judgement, Translation
from gantk.translation.residual import bare


class Translator(nn.Module):
    """The networks of one role; optimizers are the training room's business.

    Args:
        role: the name that the recipe gives it.
        takes: the images that it translates.
        gives: the images that it makes.
        generator: maps `(B, C, *spatial)` to `(B, T, *spatial)`.
        discriminator: maps images to scores `(B, K, *spatial)`; None for methods without one.
        conditional: whether the discriminator is given the source with the image.
        origins: how errors call generator and discriminator, with their plugins.
        extra: the networks' inputs beside images, by name.
        augmentation: changes what the discriminator is shown in training.
        after: the translators whose outputs the generator takes after its images, and how many channels each has.
        shown: the images from which its output is made, including those of the translators before it; by default
            `takes`.
    """

    def __init__(
        self,
        role: str,
        takes: Domain,
        gives: Domain,
        generator: nn.Module,
        discriminator: nn.Module | None,
        conditional: bool,
        origins: Mapping[str, str] | None = None,
        extra: Mapping[str, ExtraSettings] | None = None,
        augmentation: nn.Module | None = None,
        after: Mapping[str, int] = MappingProxyType({}),
        shown: Domain | None = None,
    ) -> None:
        super().__init__()
        self.role = role
        self.takes = takes
        self.after = dict(after)
        self.shown = shown or takes
        self.gives = gives
        self.generator = generator
        self.discriminator = discriminator
        self.conditional = conditional
        self.extra = dict(extra or {})
        self.origins = {"generator": "generator", "discriminator": "discriminator", **(origins or {})}
        self.heads = nn.ModuleDict()
        self.critics = nn.ModuleDict()
        self.pools = nn.ModuleDict()
        self.augmentation = augmentation
        self.recomputes = False

    @property
    def in_channels(self) -> int:
        """The generator's number of input channels."""
        return self.takes.size + sum(self.after.values())

    @property
    def size_multiple(self) -> int:
        """The number of which all sides of an image must be multiples for the generator; 1 if it takes any size."""
        return lcm(*multiples(self.generator, 1))

    def given(self, extra: Mapping[str, Tensor], part: Update = "generator") -> dict[str, Tensor]:
        """A network's inputs from a group's `extra`: `(B, K)`, or `(B, K, *spatial)` per pixel."""
        return self.taking({n: encoded(one, extra[n]) for n, one in self.extra.items() if n in extra}, part)

    def taking(self, given: Mapping[str, Tensor], part: Update = "generator") -> dict[str, Tensor]:
        """The keyword arguments that a network accepts, of those given."""
        return {name: values for name, values in given.items() if takes_given(getattr(self, part), name)}

    def blank(self, image: Tensor, part: Update = "generator") -> dict[str, Tensor]:
        """A network's inputs beside an image without known values, such as one without memory."""
        extra = {name: blank(settings, len(image), image.shape[2:]) for name, settings in self.extra.items()}
        return {name: values.to(image.device) for name, values in self.given(extra, part).items()}

    def translate(
        self,
        image: Tensor,
        layers: tuple[int, ...] = (),
        decode: bool = True,
        given: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> Translation:
        """One forward pass of the generator, with features where asked for."""
        with checkpointed(self.recomputes):
            if not layers:
                return Translation.of(self.generator(image, **given))
            return self.generator(image, layers, decode, **given)

    def recompute(self) -> None:
        """From now on keep only the inputs of the generator's segments, and recompute the rest for gradients."""
        divide(self.generator)
        self.recomputes = True

    def judge(
        self, image: Tensor, layers: tuple[int, ...] = (), given: Mapping[str, Tensor] = MappingProxyType({})
    ) -> Judgement:
        """One forward pass of the discriminator, with features where asked for."""
        assert self.discriminator is not None
        if not layers:
            return Judgement(self.discriminator(image, **given), {})
        return self.discriminator(image, layers, **given)

    def check_output(self, output: Any, images: int, size: Sequence[int]) -> None:
        """Check the output's shape: a wrong one would broadcast in a loss without notice.

        Raises:
            PluginError: it is no output for so many images of this size.
        """
        wanted = (images, self.gives.size, *size)
        if not isinstance(output, Tensor) or tuple(output.shape) != wanted:
            got = f"the shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
            raise PluginError(
                f"the {self.origins['generator']} gave {got} where {wanted} is wanted",
                where=f"translators.{self.role}.generator",
                mend="return (B, out_channels, *spatial), of the size of the input image",
            )

    def augmented(self, image: Tensor) -> Tensor:
        """An image after the discriminator's augmentation."""
        return image if self.augmentation is None or not self.training else self.augmentation(image)

    def observe(self, scores: Sequence[Tensor], images: int) -> None:
        """Pass the scores of real images to the augmentation, if it observes them."""
        observe = getattr(self.augmentation, "observe", None)
        if self.training and callable(observe):
            observe(torch.cat([scale.detach().flatten() for scale in scores]), images)

    def pool(self, name: str) -> ImagePool:
        """A term's pool of past outputs."""
        pool = self.pools[name]
        assert isinstance(pool, ImagePool)
        return pool

    def parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The trained modules by part: generator, heads, discriminator, and critics, which go with the discriminator.

        Heads and critics are the terms' own modules, which learn with the generator and with the discriminator.
        """
        yield "generator", self.generator
        if len(self.heads):
            yield "heads", self.heads
        if self.discriminator is not None:
            yield "discriminator", self.discriminator
        if len(self.critics):
            yield "critics", self.critics

    def modules_of(self, side: Update) -> nn.ModuleDict:
        """The terms' own modules that learn with a side."""
        return self.heads if side == "generator" else self.critics


def multiples(network: nn.Module, axes: int) -> tuple[int, ...]:
    """The numbers of which the sides of an image must be multiples: a generator's `size_multiple`, one for all or one
    per axis."""
    said = getattr(network, "size_multiple", 1)
    return tuple(map(int, said)) if isinstance(said, Sequence) else (int(said),) * axes


def takes_given(network: nn.Module | None, name: str) -> bool:
    """Whether a network takes a keyword argument of this name."""
    if network is None:
        return False
    parameters = inspect.signature(bare(network).forward).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def needs_given(network: nn.Module) -> list[str]:
    """The keyword arguments that a network requires."""
    parameters = inspect.signature(network.forward).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
