"""Random images and batch groups that resemble the loader's: tissue, exact background, a tumor."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from gantk.data.batch import Group

__all__ = ["make_group", "make_image", "sizes_to_try"]

#: Smallest sides of small test images in pixels, by the number of dimensions.
SMALL = {2: (32, 64), 3: (16, 32)}


def sizes_to_try(size: Sequence[int], multiple: int | Sequence[int]) -> list[tuple[int, ...]]:
    """Image sizes for trying networks, the smallest first and `size` last.

    Large networks take many seconds on large images; some networks accept only one size.

    Args:
        size: (H, W) or (D, H, W) that the networks certainly accept.
        multiple: all sides must be multiples of this number, or of one number per side.
    """
    multiples = [multiple] * len(size) if isinstance(multiple, int) else list(multiple)
    found = []
    for small in SMALL[len(size)]:
        sides = tuple(one * ceil(small / one) for one in multiples)
        if len(size) == 2 and all(side < min(size) for side in sides):
            found.append(sides)
        elif len(size) == 3:  # patches of volumes may be slabs of few slices
            found.append(tuple(map(min, sides, size)))
    return list(dict.fromkeys([*found, tuple(size)]))


def make_image(
    batch: int = 2,
    channels: int = 1,
    size: Sequence[int] = (24, 32),
    *,
    seed: int = 0,
    background: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Noise inside an ellipse or ellipsoid, exactly -1 outside: `(batch, channels, *size)` in [-1, 1].

    Args:
        batch: number of images.
        channels: channels per image.
        size: (H, W) or (D, H, W).
        seed: seed of the noise.
        background: whether the whole image is background.
        dtype: the images' type; values are the same in every type except for rounding.
    """
    random = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid([torch.linspace(-1, 1, side) for side in size], indexing="ij")
    inside = (torch.stack(axes[::-1]).square().sum(0) < 0.8) & (not background)
    values = torch.rand(batch, channels, *size, generator=random, dtype=torch.float64)
    return torch.where(inside, values * 1.9 - 0.9, -1.0).to(dtype)


def make_group(
    batch: int = 2,
    inputs: int = 2,
    targets: int = 1,
    size: Sequence[int] = (24, 32),
    *,
    seed: int = 0,
    background: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Group:
    """A batch group: source `(B, inputs, *size)`, target `(B, targets, *size)`, labels 0, 1, 2 and 4.

    Args:
        batch: number of slices.
        inputs: channels of the source; 0 for a group without source.
        targets: channels of the target; 0 for a group without target.
        size: (H, W) or (D, H, W); in volumes the tumor is in the middle slices.
        seed: seed of the images.
        background: whether the whole image is background.
        dtype: the images' type.
    """
    source = make_image(batch, inputs, size, seed=2 * seed, background=background, dtype=dtype) if inputs else None
    target = (
        make_image(batch, targets, size, seed=2 * seed + 1, background=background, dtype=dtype) if targets else None
    )
    segmentation = torch.zeros(batch, 1, *size, dtype=torch.uint8)
    if not background:
        top, left = size[-2] // 2, size[-1] // 2
        middle = segmentation if len(size) == 2 else segmentation[..., size[0] // 4 : -(size[0] // 4) or None, :, :]
        middle[..., top : top + 6, left - 3 : left + 5] = 2
        middle[..., top : top + 4, left : left + 4] = 4
        middle[..., top + 1 : top + 3, left + 1 : left + 3] = 1
    return Group(source, target, segmentation, tuple(f"p{i}" for i in range(batch)), (0,) * batch)
