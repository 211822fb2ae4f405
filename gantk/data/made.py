"""Random images and batch groups that look like the loader's: tissue, exact background, a tumour."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from gantk.data.batch import Group

__all__ = ["make_group", "make_image", "sizes_to_try"]

#: Height and width of small images, in pixels at least.
SMALL = (32, 64)


def sizes_to_try(size: Sequence[int], multiple: int) -> list[tuple[int, int]]:
    """Heights and widths to try networks with, the smallest first and `size` last.

    Large networks take many seconds where images are large; some take no other size than their own.

    Args:
        size: (H, W) that the networks take for certain.
        multiple: what both must be multiples of.
    """
    sides = dict.fromkeys(multiple * ceil(small / multiple) for small in SMALL)
    return [*((side, side) for side in sides if side < min(size)), (size[0], size[1])]


def make_image(
    batch: int = 2,
    channels: int = 1,
    size: tuple[int, int] = (24, 32),
    *,
    seed: int = 0,
    background: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Noise inside an ellipse, exactly -1 outside: `(batch, channels, H, W)` in [-1, 1].

    Args:
        batch: images.
        channels: of each.
        size: H and W.
        seed: another seed gives other noise.
        background: whether all of it is background.
        dtype: the images' type; values are the same in every one but for rounding.
    """
    random = torch.Generator().manual_seed(seed)
    y, x = torch.linspace(-1, 1, size[0])[:, None], torch.linspace(-1, 1, size[1])[None]
    inside = (x**2 + y**2 < 0.8) & (not background)
    values = torch.rand(batch, channels, *size, generator=random, dtype=torch.float64)
    return torch.where(inside, values * 1.9 - 0.9, -1.0).to(dtype)


def make_group(
    batch: int = 2,
    inputs: int = 2,
    targets: int = 1,
    size: tuple[int, int] = (24, 32),
    *,
    seed: int = 0,
    background: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Group:
    """A batch group: source `(B, inputs, H, W)`, target `(B, targets, H, W)`, labels 0, 1, 2 and 4.

    Args:
        batch: slices.
        inputs: channels of the source; 0 for a group without one.
        targets: channels of the target; 0 for a group without one.
        size: H and W.
        seed: another seed gives other images.
        background: whether all of it is background.
        dtype: the images' type.
    """
    source = make_image(batch, inputs, size, seed=2 * seed, background=background, dtype=dtype) if inputs else None
    target = (
        make_image(batch, targets, size, seed=2 * seed + 1, background=background, dtype=dtype) if targets else None
    )
    segmentation = torch.zeros(batch, 1, *size, dtype=torch.uint8)
    if not background:
        top, left = size[0] // 2, size[1] // 2
        segmentation[..., top : top + 6, left - 3 : left + 5] = 2
        segmentation[..., top : top + 4, left : left + 4] = 4
        segmentation[..., top + 1 : top + 3, left + 1 : left + 3] = 1
    return Group(source, target, segmentation, tuple(f"p{i}" for i in range(batch)), (0,) * batch)
