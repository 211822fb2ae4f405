"""Transforms change all images of a group alike, keep background apart, and are the seed's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from gantk import Group, Moment, RecipeError
from gantk.data.normalisation import DARKEST
from gantk_baselines.transforms import Affine, Flip, InputJitter, Jitter, ResizeAndCrop

MOMENT = Moment("training", 0, 1, 0)
Make = Callable[..., Group]
EVERY = [Flip(), ResizeAndCrop(), ResizeAndCrop(1.5), Jitter(0.4, 0.4)]


def named(transform: Any) -> str:
    return type(transform).__name__


def seeded(transform: Any, group: Group, seed: int = 0) -> Group:
    torch.manual_seed(seed)
    return transform(group, MOMENT)


def natural(size: int = 4, shape: tuple[int, int] = (16, 24)) -> Group:
    """Colour images without background; the target is the source, the labels say where it is bright."""
    random = torch.Generator().manual_seed(5)
    coarse = torch.rand(size, 3, 4, 6, generator=random)
    source = torch.nn.functional.interpolate(coarse, shape, mode="bilinear") * 1.8 - 0.9
    source[:, :, 0, 0] = DARKEST
    labels = (source[:, :1] > 0).to(torch.uint8)
    return Group(source, source.clone(), labels, tuple("abcd"[:size]), (0,) * size)


@pytest.mark.parametrize("transform", EVERY, ids=named)
def test_shapes_types_and_the_range_stay_and_the_group_itself(transform: Any, make_group: Make) -> None:
    for group in (make_group(3, 2, seed=1), natural()):
        kept = replace(
            group, **{f.name: v.clone() for f in fields(group) if torch.is_tensor(v := getattr(group, f.name))}
        )
        changed = seeded(transform, group)
        for name in ("source", "target", "segmentation"):
            before, after = getattr(group, name), getattr(changed, name)
            assert after.shape == before.shape
            assert after.dtype == before.dtype
            assert torch.equal(before, getattr(kept, name))
        assert changed.source.abs().max() <= 1
        assert set(changed.segmentation.unique().tolist()) <= set(group.segmentation.unique().tolist())
        assert (changed.patients, changed.slices) == (group.patients, group.slices)


@pytest.mark.parametrize("transform", EVERY, ids=named)
def test_the_seed_decides_and_slices_differ(transform: Any) -> None:
    one = natural(1)
    group = replace(one, source=one.source.repeat(8, 1, 1, 1), target=None, segmentation=None, patients=("p",) * 8)
    group = replace(group, slices=(0,) * 8)
    first, again, other = (seeded(transform, group, seed).source for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert any(not torch.equal(first[0], image) for image in first[1:])


@pytest.mark.parametrize("transform", EVERY, ids=named)
def test_a_pair_stays_a_pair_and_one_side_may_be_missing(transform: Any) -> None:
    group = natural()
    changed = seeded(transform, group, 2)
    assert torch.equal(changed.source, changed.target)  # as they were before
    assert not torch.equal(changed.source, group.source)
    for name in ("source", "target", "segmentation"):
        alone = seeded(transform, replace(group, **{name: None}), 2)
        assert getattr(alone, name) is None
        other = "target" if name == "source" else "source"
        assert torch.equal(getattr(alone, other), getattr(changed, other))


@pytest.mark.parametrize("transform", EVERY, ids=named)
def test_background_stays_apart(transform: Any, make_group: Make) -> None:
    """Exactly -1 outside, more inside, and the same pixels in every image of the pair."""
    group = make_group(4, 2, seed=2)
    group.source[1, 1] = -1  # a missing modality
    changed = seeded(transform, group, 1)
    inside = changed.source[:, :1] > -1
    assert inside.any()
    assert not inside.all()
    assert torch.equal(changed.target > -1, inside)
    assert (changed.source[1, 1] == -1).all()
    assert torch.equal(changed.available, group.available)
    assert bool((seeded(transform, natural(), 1).foreground).all())


def test_a_flip_mirrors_whole_slices(make_group: Make) -> None:
    group = make_group(6, 2, seed=3)
    assert torch.equal(seeded(Flip(1.0), group).source, group.source.flip(-1))
    assert torch.equal(seeded(Flip(0.0), group).source, group.source)
    changed = seeded(Flip(), group, 1)
    turned = [
        bool(torch.equal(after, before.flip(-1))) for after, before in zip(changed.source, group.source, strict=True)
    ]
    assert 0 < sum(turned) < 6
    for index, was in enumerate(turned):
        for name in ("source", "target", "segmentation"):
            before = getattr(group, name)[index]
            assert torch.equal(getattr(changed, name)[index], before.flip(-1) if was else before)


def test_a_crop_is_a_window_of_the_enlarged_image() -> None:
    """A ramp stays a ramp: slope divided by the scale, offset that of a place inside; labels follow."""
    height, width, scale = 32, 48, 1.25
    y, x = torch.meshgrid(torch.arange(height) / 64.0, torch.arange(width) / 64.0, indexing="ij")
    source = torch.stack([y, x])[None].repeat(5, 1, 1, 1)
    labels = (torch.arange(width) > 23).to(torch.uint8).expand(5, 1, height, width).contiguous()
    group = Group(source, None, labels, ("p",) * 5, (0,) * 5)
    changed = seeded(ResizeAndCrop(scale), group, 7)
    tops = set()
    for image, label in zip(changed.source, changed.segmentation, strict=True):
        inner = image[:, 2:-2, 2:-2]
        np.testing.assert_allclose(inner[0].diff(dim=0), 1 / 64 / scale, atol=1e-5)
        np.testing.assert_allclose(inner[1].diff(dim=1), 1 / 64 / scale, atol=1e-5)
        top = float((inner[0, 0, 0] * 64 + 0.5) * scale - 0.5) - 2
        assert abs(top - round(top)) < 1e-3
        assert 0 <= round(top) <= round(height * scale) - height
        tops.add(round(top))
        border = int(label[0, 0].argmax())
        assert abs(float(image[1, 5, border]) * 64 - 23.5) < 1
    assert len(tops) > 1
    assert torch.equal(seeded(ResizeAndCrop(1.0), group).source, source)


def test_jitter_is_one_brightness_and_one_contrast_per_slice() -> None:
    group = natural()
    plain = group.source.double()
    torch.manual_seed(11)
    bright = 1 + 0.3 * (2 * torch.rand(4) - 1)
    contrast = 1 + 0.2 * (2 * torch.rand(4) - 1)
    changed = seeded(Jitter(0.3, 0.2), group, 11).source
    for index in range(4):
        unit = ((plain[index] + 1) / 2 * bright[index]).clamp(0, 1)
        mean = (unit * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0).mean()
        unit = (contrast[index] * unit + (1 - contrast[index]) * mean).clamp(0, 1)
        np.testing.assert_allclose(changed[index], (2 * unit - 1).clamp(min=DARKEST), atol=1e-5)
    np.testing.assert_allclose(seeded(Jitter(0.0, 0.0), group).source, group.source, atol=1e-6)


@pytest.mark.parametrize(
    ("use", "parameters"),
    [("flip", {"probability": 1.5}), ("resize_and_crop", {"scale": 0.9}), ("jitter", {"contrast": 1})],
)
def test_a_recipe_cannot_ask_for_nonsense(registry: Any, use: str, parameters: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=re.escape(next(iter(parameters)))):
        registry.get("transform", use).build(parameters, "transforms.x")


# --- inputs as another scanner would show them --------------------------------------------------------------


def varied(**changes: float) -> InputJitter:
    return InputJitter(**{"gain": 0.0, "gamma": 0.0, "bias": 0.0, "noise": 0.0, **changes})


def unit_of(group: Group) -> torch.Tensor:
    assert group.source is not None
    return (group.source + 1) / 2


def test_input_jitter_changes_inputs_alone_and_keeps_background(make_group: Make) -> None:
    group = make_group(3, 2, seed=1)
    kept = group.source.clone()
    changed = seeded(InputJitter(0.5, 0.5, 0.5, 0.5), group)
    assert changed.target is group.target
    assert changed.segmentation is group.segmentation
    assert torch.equal(group.source, kept)
    inside = group.source > -1
    assert torch.equal(changed.source[~inside], group.source[~inside])
    assert (changed.source[inside] > -1).all()
    assert changed.source.max() <= 1
    assert not torch.equal(changed.source[inside], group.source[inside])
    unsourced = replace(group, source=None)
    assert seeded(InputJitter(), unsourced) is unsourced


def test_without_spread_input_jitter_changes_nothing(make_group: Make) -> None:
    group = make_group(2, 2)
    torch.testing.assert_close(seeded(varied(), group).source, group.source, atol=1e-6, rtol=0)


def test_a_gain_is_one_factor_and_a_gamma_one_exponent_of_each_slice_and_input(make_group: Make) -> None:
    group = make_group(2, 3)
    group = replace(group, source=torch.where(group.source > -1, group.source * 0.3 - 0.4, group.source))  # far from 1
    inside = group.foreground[:, 0]
    for transform, amount in [
        (varied(gain=0.2), lambda now, was: now / was),
        (varied(gamma=0.2), lambda now, was: now.log() / was.log()),
    ]:
        ratios = amount(unit_of(seeded(transform, group)), unit_of(group))
        found = [ratios[b, c][inside[b]] for b in range(2) for c in range(3)]
        for one in found:
            torch.testing.assert_close(one, one[:1].expand_as(one), rtol=1e-3, atol=1e-3)
        assert len({round(float(one[0]), 3) for one in found}) == 6
        assert max(abs(float(one[0]) - 1) for one in found) > 0.05


def test_a_bias_field_is_smooth_and_noise_is_not() -> None:
    flat = Group(torch.full((1, 1, 32, 32), -0.2), None, None, ("p",), (0,))
    for transform, smooth in [(varied(bias=0.2), True), (varied(noise=0.1), False)]:
        image = seeded(transform, flat).source[0, 0]
        steps = image.diff(dim=0).abs().max() / image.std()
        assert image.std() > 0.01
        assert bool(steps < 0.8) == smooth


def test_neighbouring_slices_share_gain_gamma_and_field(make_group: Make) -> None:
    group = make_group(1, 6)
    group = replace(group, source=group.source[:, [0, 0, 0, 0, 0, 0]], own=(1, 4))
    changed = seeded(InputJitter(0.2, 0.2, 0.2, 0.0), group).source
    assert torch.equal(changed[:, 0], changed[:, 2])
    assert torch.equal(changed[:, 3], changed[:, 5])
    assert not torch.equal(changed[:, 0], changed[:, 3])


# --- slices turned, scaled and shifted -----------------------------------------------------------------------


@pytest.fixture
def group(make_group: Callable[..., Any]) -> Group:
    return make_group(4, shape=(24, 32))


def test_a_turned_pair_stays_a_pair(group: Group) -> None:
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


def test_the_seed_decides_the_pose(group: Group) -> None:
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
