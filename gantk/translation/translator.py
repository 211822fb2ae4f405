"""A translator: a generator with its discriminator and the modules of its terms, under a role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from gantk.data.layout import Domain
from gantk.recipe.model import Update
from gantk.translation.pool import ImagePool
from gantk.translation.protocols import Judgement, Translation


class Translator(nn.Module):
    """The networks of one role; optimizers are the training room's business.

    Args:
        role: the name that the recipe gives it.
        takes: the images that it translates.
        gives: the images that it makes.
        generator: maps `(B, C, H, W)` to `(B, T, H, W)`.
        discriminator: maps images to scores `(B, K, h, w)`; None for methods without one.
        conditional: whether the discriminator is given the source with the image.
        origins: how errors call generator and discriminator, with their plugins.
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
    ) -> None:
        super().__init__()
        self.role = role
        self.takes = takes
        self.gives = gives
        self.generator = generator
        self.discriminator = discriminator
        self.conditional = conditional
        self.origins = {"generator": "generator", "discriminator": "discriminator", **(origins or {})}
        self.heads = nn.ModuleDict()
        self.critics = nn.ModuleDict()
        self.pools = nn.ModuleDict()

    @property
    def size_multiple(self) -> int:
        """What height and width must be multiples of; 1 where the generator takes any size."""
        return int(getattr(self.generator, "size_multiple", 1))

    def translate(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Translation:
        """One forward pass of the generator, with features where asked for."""
        if not layers:
            return Translation(self.generator(image), {})
        return self.generator(image, layers, decode)

    def judge(self, image: Tensor, layers: tuple[int, ...] = ()) -> Judgement:
        """One forward pass of the discriminator, with features where asked for."""
        assert self.discriminator is not None
        if not layers:
            return Judgement(self.discriminator(image), {})
        return self.discriminator(image, layers)

    def pool(self, name: str) -> ImagePool:
        """A term's pool of past outputs."""
        pool = self.pools[name]
        assert isinstance(pool, ImagePool)
        return pool

    def parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The trained modules by part: generator, heads, discriminator, and critics, which go with the discriminator.

        Heads and critics are the terms' own modules, that learn with the generator and with the discriminator.
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
