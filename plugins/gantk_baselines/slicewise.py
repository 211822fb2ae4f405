"""Slices of volumes, for networks that work on pictures only."""

from __future__ import annotations

import torch
from torch import Tensor

from gantk import View, to_device

__all__ = ["of_slices"]


def of_slices(view: View, image: Tensor, count: int) -> Tensor:
    """Slices of an image (B, C, D, H, W) as pictures (B·count, C, H, W), at most all; a picture stays unchanged.

    The slices are drawn once per step, the same for all images and the weight map: sorted, without repetition.
    """
    if image.ndim == 4:
        return image
    places = view.derive(f"places of {count} slices", view.source, lambda source: _places(source, count))
    return view.derive(f"{count} slices", image, lambda volume: _taken(volume, places))


def _places(volume: Tensor, count: int) -> Tensor:
    return to_device(torch.randperm(volume.shape[2])[:count].sort().values, volume.device)


def _taken(volume: Tensor, places: Tensor) -> Tensor:
    return volume.index_select(2, places).transpose(1, 2).flatten(0, 1)
