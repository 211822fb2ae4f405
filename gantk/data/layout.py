"""The assignment of modalities to the channels of a batch's source and target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gantk.errors import RecipeError, nearest
from gantk.recipe.data import DataSettings

__all__ = ["Domain", "Layout", "Side"]

Side = Literal["source", "target"]


@dataclass(frozen=True)
class Domain:
    """A translator's input or output: channels of a group's source or target.

    Args:
        side: source or target.
        channels: channel indices; None for all channels in order.
        size: number of channels; follows from the other two.
    """

    side: Side
    channels: tuple[int, ...] | None
    size: int = field(compare=False)


@dataclass(frozen=True)
class Layout:
    """The order of channels: by modality, then by neighboring slice, then by the image's own channel.

    Args:
        inputs: modalities of the source.
        targets: modalities of the target.
        neighbours: number of neighboring slices on either side that are part of the source.
        channels: channels of one image: 1 for scans and gray images, 3 for color.
        categories: the modalities that hold categories.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    neighbours: int = 0
    channels: int = 1
    categories: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: DataSettings, channels: int = 1) -> Layout:
        """The layout of a recipe's data; `channels` is the number of channels of one image."""
        return cls(tuple(data.inputs), data.targets, data.neighbours, channels, data.categories)

    def names(self, side: Side) -> tuple[str, ...]:
        """The modalities of a side."""
        return self.inputs if side == "source" else self.targets

    def depth(self, side: Side) -> int:
        """Number of slices of one modality."""
        return 2 * self.neighbours + 1 if side == "source" else 1

    def size(self, side: Side) -> int:
        """Number of channels of a side."""
        return len(self.names(side)) * self.depth(side) * self.channels

    def planes(self, side: Side, modality: str) -> tuple[int, ...]:
        """The channels of a modality, including its neighboring slices."""
        width = self.depth(side) * self.channels
        first = self.names(side).index(modality) * width
        return tuple(range(first, first + width))

    def image(self, side: Side, modality: str) -> tuple[int, ...]:
        """The channels of a modality's own slice."""
        skipped = (self.depth(side) // 2) * self.channels
        return self.planes(side, modality)[skipped : skipped + self.channels]

    @property
    def own(self) -> tuple[int, ...] | None:
        """The source channels that show a slice itself and not its neighbors; None if all do."""
        if not self.neighbours:
            return None
        return tuple(channel for name in self.inputs for channel in self.image("source", name))

    @property
    def named(self) -> tuple[int, ...]:
        """The source channels that hold categories."""
        names = [name for name in self.inputs if name in self.categories]
        return tuple(channel for name in names for channel in self.planes("source", name))

    def taken(self, modalities: Sequence[str] | None, where: str) -> Domain:
        """The domain of a translator's input (None: all inputs): looked up among the inputs, then among the targets.

        Raises:
            RecipeError: a modality is neither an input nor a target, or they are not all on one side.
        """
        return self._domain(modalities, ("source", "target"), where)

    def given(self, modalities: Sequence[str] | None, where: str) -> Domain:
        """The domain of a translator's output (None: all targets): as `taken`, but targets are looked up first."""
        return self._domain(modalities, ("target", "source"), where)

    def _domain(self, modalities: Sequence[str] | None, order: tuple[Side, Side], where: str) -> Domain:
        takes = order[0] == "source"
        if modalities is None:
            side: Side = order[0]
            return Domain(side, None, self.size(side))
        known = {*self.inputs, *self.targets}
        for name in modalities:
            if name not in known:
                raise RecipeError(f"{name!r} is neither an input nor a target", where=where, mend=nearest(name, known))
        for side in order:
            if set(modalities) <= set(self.names(side)):
                place = self.planes if takes else self.image
                channels = tuple(channel for name in modalities for channel in place(side, name))
                whole = channels == tuple(range(self.size(side)))
                return Domain(side, None if whole else channels, len(channels))
        raise RecipeError(
            f"{', '.join(modalities)} are partly inputs and partly targets",
            where=where,
            mend="name only modalities of data.inputs, or only of data.target",
        )
