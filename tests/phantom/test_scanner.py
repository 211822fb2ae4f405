"""The scanner: partial volumes, motion, coil and defects."""

from __future__ import annotations

import json

import numpy as np

from gantk.phantom.anatomy import Atlas
from gantk.phantom.fields import stream
from gantk.phantom.scanner import average, draw_coil, draw_defects
from gantk.phantom.subject import MODALITIES, Model, scan
from phantoms import SEED, SPACING


def test_slices_average_over_their_thickness() -> None:
    brain = np.ones((2, 2, 7), bool)
    image = np.arange(28, dtype=np.float32).reshape(2, 2, 7) ** 2
    thick = average(image, brain, [1, 1, 2], [0, 0, 0]).reshape(image.shape)
    by_hand = (0.5 * image[..., :-2] + image[..., 1:-1] + 0.5 * image[..., 2:]) / 2
    np.testing.assert_allclose(thick[..., 1:-1], by_hand, rtol=1e-6)
    np.testing.assert_array_equal(average(image, brain, [1, 1, 1], [0, 0, 0]), image[brain])


def test_misregistration_moves_an_image_by_a_part_of_a_voxel() -> None:
    brain = np.ones((3, 3, 9), bool)
    ramp = np.broadcast_to(np.arange(9, dtype=np.float32), brain.shape)
    moved = average(ramp, brain, [1, 1, 1], [0.25, 0, -0.5]).reshape(brain.shape)
    np.testing.assert_allclose(moved[..., 1:-1], ramp[..., 1:-1] - 0.5, rtol=1e-6)


def test_nothing_outside_the_brain_is_averaged_in() -> None:
    brain = np.zeros((3, 3, 9), bool)
    brain[1, 1, 2:7] = True
    image = np.where(brain, np.float32(5), np.float32(100)) * brain
    np.testing.assert_allclose(average(image, brain, [1, 1, 3], [0.4, 0, 0.4]), 5, rtol=1e-6)


def test_the_coil_is_the_same_for_all_images_and_defects_are_not(atlas: Atlas, models: list[Model]) -> None:
    facts = scan(SEED, 0, SPACING, atlas).facts
    assert set(facts["coil"]) == {"bias", "surface"}
    assert len({json.dumps(facts["images"][name]) for name in MODALITIES}) == 4
    gains = [
        draw_coil(stream(SEED, 0, "x")).log_gain(models[0].anatomy, models[0].grid, stream(SEED, 0, "y"))
        for _ in (0, 1)
    ]
    np.testing.assert_array_equal(*gains)
    defects = [draw_defects(stream(SEED, k, "defects")) for k in range(200)]
    assert 0.05 < np.mean([d.ghost > 0 for d in defects]) < 0.3
    assert max(abs(np.concatenate([d.shift for d in defects]))) <= 1
