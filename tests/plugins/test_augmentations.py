"""Augmentations of the discriminators' images."""

from __future__ import annotations

import pytest
import torch

from gantk_baselines.augmentations import AdaptiveAugment, DiffAugment

SMOOTH = torch.linspace(-0.8, 0.8, 16).expand(64, 1, 16, 16).clone()


def test_a_cube_is_cut_out() -> None:
    torch.manual_seed(0)
    image = torch.ones(4, 1, 20, 20, 20)
    shown = DiffAugment(color=False, shift=0.0, cutout=0.5)(image)
    for part in shown[:, 0] < 0:
        sides = [int(part.any(dim=tuple(a for a in range(3) if a != axis)).sum()) for axis in range(3)]
        assert int(part.sum()) == sides[0] * sides[1] * sides[2]
        assert max(sides) <= 10


def test_ada_rises_while_the_discriminator_is_sure() -> None:
    ada = AdaptiveAugment(images=100, every=2, limit=0.5)
    image = torch.rand(4, 1, 8, 8)
    torch.manual_seed(0)
    assert torch.allclose(ada(image), image, atol=1e-5), "at p = 0 nothing changes"
    ada.observe(torch.ones(5), 4)
    assert ada.probability == 0
    ada.observe(torch.ones(5), 4)
    assert ada.probability.item() == pytest.approx(0.08)
    for _ in range(20):
        ada.observe(torch.ones(5), 4)
    assert ada.probability.item() == pytest.approx(0.5)
    ada.observe(-torch.ones(5), 4)
    ada.observe(torch.ones(5), 4)
    assert ada.probability.item() == pytest.approx(0.42)


def test_brightness_and_contrast_are_one_line_for_each_image_and_leave_background() -> None:
    torch.manual_seed(0)
    image = SMOOTH.clone()
    image[..., 0] = -1
    shown = DiffAugment(shift=0.0, cutout=0.0)(image)
    assert (shown[..., 0] == -1).all()
    values, inside = shown[..., 1:], image[..., 1:]
    slopes = values.diff(dim=-1) / inside.diff(dim=-1)
    torch.testing.assert_close(slopes, slopes[:, :, :1, :1].expand_as(slopes), atol=1e-4, rtol=1e-4)
    assert 0.5 <= slopes.min() < 0.7
    assert 1.3 < slopes.max() <= 1.5
    moved = (values - inside).mean((1, 2, 3))
    assert moved.std() > 0.1


def test_a_shift_moves_images_by_an_eighth_at_most_and_brings_background_in() -> None:
    torch.manual_seed(0)
    spot = torch.full((64, 1, 16, 16), -1.0)
    spot[:, :, 8, 8] = 1
    light = DiffAugment(color=False, cutout=0.0)(spot) + 1
    places = torch.arange(16.0)
    centres = [(light.sum(dim=axis).flatten(1) * places).sum(1) / light.sum((1, 2, 3)) for axis in (2, 3)]
    moved = torch.stack(centres) - 8
    assert 1.8 < moved.abs().max() <= 2 + 1e-4
    assert moved.mean().abs() < 0.3
    full = DiffAugment(color=False, cutout=0.0)(torch.ones(64, 1, 16, 16))
    assert full.min() == -1


def test_what_is_shown_passes_the_gradient_on() -> None:
    torch.manual_seed(0)
    image = SMOOTH.clone().requires_grad_()
    DiffAugment()(image).sum().backward()
    assert image.grad is not None
    assert (image.grad.flatten(1).abs().sum(1) > 0).all()
