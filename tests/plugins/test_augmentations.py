"""Augmentations of what discriminators are shown."""

from __future__ import annotations

import torch

from gantk_baselines.augmentations import DiffAugment


def test_a_cube_is_cut_out() -> None:
    torch.manual_seed(0)
    image = torch.ones(4, 1, 20, 20, 20)
    shown = DiffAugment(color=False, shift=0.0, cutout=0.5)(image)
    for part in shown[:, 0] < 0:
        sides = [int(part.any(dim=tuple(a for a in range(3) if a != axis)).sum()) for axis in range(3)]
        assert int(part.sum()) == sides[0] * sides[1] * sides[2]
        assert max(sides) <= 10
