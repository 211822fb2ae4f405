"""Volumes at test time: whole volumes are translated, and read slice by slice by evaluation and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from gantk.data.batch import Group
from gantk.data.loader import Loader

__all__ = ["BySlice"]

Made = Mapping[str, Tensor]


class BySlice:
    """The translations of whole volumes, cut into the slices of a group.

    A volume is translated when its first slice is requested, and only the last volume is kept: request slices
    subject by subject. After a change of the networks' weights, a new instance is needed.

    Args:
        loader: reads volumes.
        make: function from a group of one volume (1, C, D, H, W) to images (1, K, D, H, W) by name.
    """

    def __init__(self, loader: Loader, make: Callable[[Group], Made]) -> None:
        self.loader, self._make = loader, make
        self._volume = lru_cache(maxsize=1)(self._of)

    def __call__(self, group: Group) -> dict[str, Tensor]:
        """The images (B, K, H, W) of a group's slices, by name, on the group's device."""
        device = next(image for image in (group.source, group.target) if image is not None).device
        slices = [self._slice(*place) for place in zip(group.subjects, group.slices, strict=True)]
        return {name: torch.stack([one[name] for one in slices]).to(device) for name in slices[0]}

    def _slice(self, subject: str, z: int) -> Made:
        row = z - int(self.loader.store[subject].z[0])
        return {name: volume[:, row] for name, volume in self._volume(subject).items()}

    def _of(self, subject: str) -> Made:
        return {name: images[0] for name, images in self._make(self.loader.volume(subject)).items()}
