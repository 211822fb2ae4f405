"""A translator: a generator with its discriminator and projection heads, under a role."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from gantk.translation.protocols import Translation


class Translator(nn.Module):
    """The networks of one role; optimizers are the training room's business.

    Args:
        role: the name that the recipe gives it.
        generator: maps `(B, C, H, W)` to `(B, T, H, W)`.
        discriminator: maps images to scores `(B, 1, h, w)`; None for methods without one.
        conditional: whether the discriminator is given the source with the image.
    """

    def __init__(self, role: str, generator: nn.Module, discriminator: nn.Module | None, conditional: bool) -> None:
        super().__init__()
        self.role = role
        self.generator = generator
        self.discriminator = discriminator
        self.conditional = conditional
        self.heads = nn.ModuleDict()

    @property
    def size_multiple(self) -> int:
        """What height and width must be multiples of; 1 where the generator takes any size."""
        return int(getattr(self.generator, "size_multiple", 1))

    def translate(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Translation:
        """One forward pass of the generator, with features where asked for."""
        if not layers:
            return Translation(self.generator(image), {})
        return self.generator(image, layers, decode)

    def parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The trained modules by part: generator, heads, discriminator."""
        yield "generator", self.generator
        if len(self.heads):
            yield "heads", self.heads
        if self.discriminator is not None:
            yield "discriminator", self.discriminator
