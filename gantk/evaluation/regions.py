"""Regions inside which a metric is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gantk.errors import EvaluationError, nearest
from gantk.labels import REGIONS as TUMOUR

if TYPE_CHECKING:
    from gantk.data.batch import Group
    from gantk.recipe.values import Region

__all__ = ["LABELS", "REGIONS", "region_mask", "regions_apart"]


def _among(members: Sequence[int]) -> Callable[[Tensor], Tensor]:
    return lambda labels: torch.isin(labels, torch.tensor(members, dtype=labels.dtype, device=labels.device))


LABELS: dict[str, Callable[[Tensor], Tensor]] = {name: _among(members) for name, members in TUMOUR.items()}
"""BraTS's nested regions: name → function from a batch's labels (any shape) to the region, bool of that shape."""


def _labelled(name: str) -> Callable[[Group], Tensor]:
    """A function that returns the pixels of a label region; no pixels if a group has no segmentation."""

    def mask(group: Group) -> Tensor:
        if group.segmentation is None:
            return torch.zeros_like(group.foreground)
        return LABELS[name](group.segmentation)

    return mask


REGIONS: dict[str, Callable[[Group], Tensor]] = {
    "image": lambda group: torch.ones_like(group.foreground),
    "brain": lambda group: group.foreground,
    "body": lambda group: group.foreground,
    "outside": lambda group: ~group.foreground,
    **{name: _labelled(name) for name in LABELS},
}
"""Region name → mask (B, 1, H, W) bool of a batch group."""


def region_mask(name: str, group: Group) -> Tensor:
    """The mask (B, 1, H, W) bool of a region.

    `image` is everything, `brain` or `body` the foreground, `outside` the rest, `tumour` the whole tumor,
    `tc` the tumor core, `et` the enhancing tumor; `gantk.labels` says which labels these are.

    Raises:
        EvaluationError: for an unknown name.
    """
    if name not in REGIONS:
        raise EvaluationError(f"there is no region {name!r}", where="evaluation.regions", mend=nearest(name, REGIONS))
    return REGIONS[name](group)


def regions_apart(named: Sequence[Region], *, background: bool, labels: bool) -> list[Region]:
    """The regions that can differ from the whole image; only the whole image if no region can.

    Args:
        named: the requested regions.
        background: whether images have a background; pictures have none.
        labels: whether any image has a segmentation.
    """
    apart = {**dict.fromkeys(("brain", "body", "outside"), background), **dict.fromkeys(LABELS, labels)}
    return [region for region in named if apart.get(region, True)] or ["image"]
