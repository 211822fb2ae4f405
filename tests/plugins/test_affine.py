"""Slices turned, scaled and shifted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy.ndimage import affine_transform

from gantk import Group, Moment
from gantk_baselines.transforms import Affine

NOW = Moment("training", 0, 1, 0)


def seeded(transform: Affine, group: Group, seed: int = 0) -> Group:
    torch.manual_seed(seed)
    return transform(group, NOW)


@pytest.fixture
def group(make_group: Callable[..., Any]) -> Group:
    return make_group(4, shape=(24, 32))


def test_a_pair_stays_a_pair(group: Group) -> None:
    twin = replace(group, target=group.source[:, :1].clone())
    moved = seeded(Affine(), twin)
    assert torch.equal(moved.target, moved.source[:, :1])
    assert not torch.equal(moved.source, twin.source)
    assert len({moved.source[i].mean().item() for i in range(4)}) == 4, "each slice has a pose of its own"


def test_background_is_exactly_background_and_tissue_is_not(group: Group) -> None:
    moved = seeded(Affine(degrees=30, scale=0.3, shift=0.2), group)
    background = (moved.source <= -1).float().mean()
    assert moved.source.min() == -1
    assert 0.1 < background < 0.9
    assert torch.equal(moved.source[:, :1] > -1, moved.source[:, 1:2] > -1)
    assert set(moved.segmentation.unique().tolist()) <= {0, 4}
    assert moved.segmentation.dtype == torch.uint8


def test_no_change_is_no_change(group: Group) -> None:
    for transform in (Affine(degrees=0, scale=0, shift=0), Affine(probability=0)):
        moved = seeded(transform, group)
        assert torch.allclose(moved.source, group.source, atol=1e-5)
        assert torch.equal(moved.segmentation, group.segmentation)


def test_the_seed_decides(group: Group) -> None:
    transform = Affine()
    assert torch.equal(seeded(transform, group, 1).source, seeded(transform, group, 1).source)
    assert not torch.equal(seeded(transform, group, 1).source, seeded(transform, group, 2).source)


def test_scaling_is_about_the_centre_and_agrees_with_scipy(make_group: Callable[..., Any]) -> None:
    """Inside the tissue, against scipy's linear interpolation of the same map."""
    group = make_group(1, inputs=1, shape=(25, 25))
    torch.manual_seed(3)
    transform = Affine(degrees=0, scale=0.2, shift=0)
    factor = 1 + 0.2 * float((2 * torch.rand(4, 1) - 1)[1, 0])
    moved = seeded(transform, group, 3)
    centre = 12.0
    wanted = affine_transform(
        group.source[0, 0].double().numpy(), [1 / factor] * 2, centre - centre / factor, order=1, cval=-1
    )
    inside = torch.zeros(25, 25, dtype=torch.bool)
    inside[8:17, 8:17] = True
    assert torch.allclose(moved.source[0, 0].double()[inside], torch.from_numpy(wanted)[inside], atol=1e-4)
