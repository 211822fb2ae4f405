"""Helpers for tests of equations: values in double precision, a weight map, and VGG as its paper defines it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gantk import View

VGG11 = [[64], [128], [256, 256]]  # its first three blocks
# as single precision holds them
MEAN, STD = np.float32([0.485, 0.456, 0.406]).astype(float), np.float32([0.229, 0.224, 0.225]).astype(float)


def array(tensor: Tensor) -> np.ndarray:
    """A tensor's values in double precision."""
    return tensor.detach().numpy().astype(np.float64)


def published_vgg(state: dict[str, Tensor], plan: list[list[int]], image: Tensor, normalise: bool) -> dict[str, Tensor]:
    """VGG as its paper writes it: blocks of 3×3 convolutions with ReLU, 2×2 maxima between them."""
    x = image.repeat(1, 3, 1, 1)
    if normalise:
        x = torch.stack([((x[:, i] + 1) / 2 - MEAN[i]) / STD[i] for i in range(3)], dim=1)
    number, found = 0, {}
    for block, widths in enumerate(plan, start=1):
        for j in range(1, len(widths) + 1):
            x = F.conv2d(x, state[f"{number}.weight"].double(), state[f"{number}.bias"].double(), padding=1)
            found[f"conv{block}_{j}"] = x
            x = x.clamp(min=0)
            found[f"relu{block}_{j}"] = x
            number += 2
        x = F.max_pool2d(x, 2)
        found[f"pool{block}"] = x
        number += 1
    return found


def ramp(view: View) -> Tensor:
    """A weight map that differs everywhere."""
    height, width = view.source.shape[-2:]
    grid = torch.arange(height * width, dtype=view.source.dtype).view(1, 1, height, width) / 50
    return grid.expand(len(view.source), -1, -1, -1)


def close(ours: Tensor | float, theirs: float) -> None:
    """Assert that two numbers agree to 1e-9 of their size."""
    value = ours.item() if isinstance(ours, Tensor) else ours
    assert value == pytest.approx(theirs, rel=1e-9)
