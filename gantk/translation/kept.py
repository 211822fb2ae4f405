"""Images and ratings that terms keep of a step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Kept", "Pictures"]

Pictures = dict[str, Tensor]
"""Images (B, C, H, W) that terms keep of a step, 0 black and 1 white, by `ROLE/TERM.NAME`."""


@dataclass
class Kept:
    """Images and ratings that terms keep of a step; None where they are not wanted.

    Attributes:
        pictures: images.
        ratings: how hard each slice was, (B,), with its subjects and slices.
    """

    pictures: Pictures | None = None
    ratings: list[tuple[tuple[str, ...], tuple[int, ...], Tensor]] | None = None
