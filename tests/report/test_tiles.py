"""Panels and figures: fixed windows, nothing random, any names."""

import numpy as np
import pytest

from gantk.report.tiles import ERROR, GREY, WEIGHT, enlarge, error_map


@pytest.mark.parametrize("window", [GREY, ERROR, WEIGHT], ids=lambda w: w.colours)
def test_paint_by_hand(window):
    values = np.array([[window.low - 1, window.low, (window.low + window.high) / 2, window.high, window.high + 9]])
    colours = window.paint(values)[0].astype(int)
    assert (colours[0] == colours[1]).all()
    assert (colours[3] == colours[4]).all()
    assert colours[1].sum() < colours[2].sum() < colours[3].sum()
    if window is GREY:
        assert colours[:, 0].tolist() == [0, 0, 128, 255, 255]


def test_large_images_are_not_resampled():
    image = np.random.default_rng(0).uniform(-1, 1, (200, 224)).astype(np.float32)
    np.testing.assert_array_equal(enlarge(image), image)


def test_the_error_of_colours_is_their_mean():
    image, target = np.zeros((2, 5, 4, 3)), np.zeros((2, 5, 4, 3))
    image[..., 0], image[..., 1] = 0.6, -0.3
    np.testing.assert_allclose(error_map(image, target), np.full((2, 5, 4), 0.15))
    np.testing.assert_allclose(error_map(image[..., 0], target[..., 0]), np.full((2, 5, 4), 0.3))
