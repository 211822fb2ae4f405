"""Tensor operations that do not make the CPU wait for a GPU."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["take_channels", "to_device"]


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor, such as random numbers drawn on the CPU, on a device; the copy to a GPU is asynchronous.

    A copy from ordinary memory would wait until the GPU has finished all earlier work.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def take_channels(images: Tensor, channels: Iterable[int]) -> Tensor:
    """The channels `(B, T, *spatial)` of images `(B, C, *spatial)`, in this order.

    Indexing with a list would copy the list to the images' GPU, and wait.
    """
    taken = [images[:, channel : channel + 1] for channel in channels]
    return torch.cat(taken, dim=1) if taken else images[:, :0]
