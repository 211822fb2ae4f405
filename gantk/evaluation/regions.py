"""Regions inside which a metric is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gantk.errors import EvaluationError, nearest

if TYPE_CHECKING:
    from gantk.data.batch import Group

__all__ = ["REGIONS", "region_mask"]


def _image(group: Group) -> Tensor:
    return torch.ones_like(group.foreground)


def _brain(group: Group) -> Tensor:
    return group.foreground


def _tumour(group: Group) -> Tensor:
    if group.segmentation is None:
        return torch.zeros_like(group.foreground)
    return group.segmentation > 0


REGIONS: dict[str, Callable[[Group], Tensor]] = {"image": _image, "brain": _brain, "tumour": _tumour}
"""Region name → mask (B, 1, H, W) bool of a batch group."""


def region_mask(name: str, group: Group) -> Tensor:
    """The mask (B, 1, H, W) bool of a region: `image` (all), `brain` (foreground), `tumour` (labels > 0).

    Raises:
        EvaluationError: for an unknown name.
    """
    if name not in REGIONS:
        raise EvaluationError(f"there is no region {name!r}", where="evaluation.regions", mend=nearest(name, REGIONS))
    return REGIONS[name](group)
