"""Panels and figures: fixed windows, nothing random, any names."""

import time
from dataclasses import replace

import numpy as np
import pytest

from gantk.evaluation.examples import Examples
from gantk.report.figures import draw_figure, tumour_box
from gantk.report.panels import draw_panel
from gantk.report.tiles import ERROR, GREY, WEIGHT, enlarge, error_map, outline


def doubled(examples: Examples) -> Examples:
    """The outputs twice as bright above the background."""
    outputs = {role: (image + 1) * 2 - 1 for role, image in examples.outputs.items()}
    return replace(examples, outputs=outputs)


def test_panel_is_deterministic_and_quick(examples):
    first = draw_panel(examples)
    start = time.perf_counter()
    second = draw_panel(examples)
    assert time.perf_counter() - start < 1
    assert first.dtype == np.uint8
    assert first.shape[2] == 3
    np.testing.assert_array_equal(first, second)


def test_window_is_fixed(examples):
    panel, brighter = draw_panel(examples), draw_panel(doubled(examples))
    assert panel.shape == brighter.shape
    columns = len(examples.inputs) + 1 + 2 * len(examples.outputs) + len(examples.weights)
    changed = [bool((a != b).any()) for a, b in zip(*(cut(p, columns) for p in (panel, brighter)), strict=True)]
    assert changed == [False] * 3 + [True] * 4 + [False] * 2


def cut(panel: np.ndarray, columns: int) -> list[np.ndarray]:
    return np.array_split(panel[:, 4:], columns, axis=1)


@pytest.mark.parametrize("window", [GREY, ERROR, WEIGHT], ids=lambda w: w.colours)
def test_paint_by_hand(window):
    values = np.array([[window.low - 1, window.low, (window.low + window.high) / 2, window.high, window.high + 9]])
    colours = window.paint(values)[0].astype(int)
    assert (colours[0] == colours[1]).all()
    assert (colours[3] == colours[4]).all()
    assert colours[1].sum() < colours[2].sum() < colours[3].sum()
    if window is GREY:
        assert colours[:, 0].tolist() == [0, 0, 128, 255, 255]


def test_image_pixels_are_in_the_panel(examples):
    """The first tile holds the first input's own pixels in the window [-1, 1]."""
    image = examples.inputs["t1"][0]
    tile = GREY.paint(enlarge(image))
    panel = draw_panel(examples)
    height, width = tile.shape[:2]
    assert any((panel[top : top + height, 4 : 4 + width] == tile).all() for top in range(20, 60))


def test_large_images_are_not_resampled():
    image = np.random.default_rng(0).uniform(-1, 1, (200, 224)).astype(np.float32)
    np.testing.assert_array_equal(enlarge(image), image)


def test_names_do_not_matter(examples):
    plain = replace(examples, outputs={"généré ✓": examples.outputs["student"]}, weights={}, titles=[])
    assert draw_panel(plain).shape[1] < draw_panel(examples).shape[1]


def test_outline_marks_the_border_alone(examples):
    mask = np.zeros((10, 10), bool)
    mask[3:7, 3:7] = True
    drawn = outline(np.zeros((10, 10, 3), np.uint8), mask, (1, 2, 3))
    assert (drawn == (1, 2, 3)).all(axis=2).sum() == 12
    assert not drawn[4:6, 4:6].any()
    assert (draw_panel(examples, tumour=True) != draw_panel(examples)).any()


def test_figure_has_a_zoom_only_with_a_tumour(examples):
    figure = draw_figure(examples, 0)
    bare = replace(examples, segmentation=np.zeros_like(examples.segmentation))
    assert draw_figure(bare, 0).shape[0] < figure.shape[0]
    assert draw_figure(examples, 0, inputs=False).shape[1] < figure.shape[1]
    assert (draw_figure(doubled(examples), 0) != figure).any()


@pytest.mark.parametrize("corner", [(0, 0), (55, 40), (30, 20), (0, 40)])
def test_box_holds_the_tumour_in_the_image_s_shape(corner):
    segmentation = np.zeros((60, 48), np.uint8)
    top, left = corner
    segmentation[top : top + 5, left : left + 8] = 2
    a, b, c, d = tumour_box(segmentation)
    assert 0 <= a <= top < top + 5 <= b <= 60
    assert 0 <= c <= left < left + 8 <= d <= 48
    assert (b - a) / (d - c) == pytest.approx(60 / 48, rel=0.05)
    assert d - c >= 24
    assert tumour_box(np.ones((60, 48), np.uint8)) == (0, 60, 0, 48)
    assert tumour_box(np.zeros((60, 48), np.uint8)) is None


def in_colour(examples: Examples) -> Examples:
    """The same slices as red images whose target is green."""

    def coloured(images: np.ndarray, channel: int) -> np.ndarray:
        whole = np.full((*images.shape, 3), -1, np.float32)
        whole[..., channel] = images
        return whole

    assert examples.target is not None
    return replace(
        examples,
        inputs={name: coloured(image, 0) for name, image in examples.inputs.items()},
        target=coloured(examples.target, 1),
        outputs={role: coloured(image, 0) for role, image in examples.outputs.items()},
    )


def test_colours_are_painted_as_they_are(examples):
    colour = in_colour(examples)
    grey, panel = draw_panel(examples), draw_panel(colour)
    assert panel.shape == grey.shape
    columns = len(examples.inputs) + 1 + 2 * len(examples.outputs) + len(examples.weights)
    first, target = cut(panel, columns)[0], cut(panel, columns)[2]
    tile = GREY.paint(enlarge(colour.inputs["t1"][0]))
    assert not tile[..., 1:].any()
    assert any((panel[top : top + tile.shape[0], 4 : 4 + tile.shape[1]] == tile).all() for top in range(20, 60))
    assert first[..., 0].astype(int).sum() > 2 * first[..., 1].astype(int).sum()
    assert target[..., 1].astype(int).sum() > 2 * target[..., 0].astype(int).sum()


def test_the_error_of_colours_is_their_mean():
    image, target = np.zeros((2, 5, 4, 3)), np.zeros((2, 5, 4, 3))
    image[..., 0], image[..., 1] = 0.6, -0.3
    np.testing.assert_allclose(error_map(image, target), np.full((2, 5, 4), 0.15))
    np.testing.assert_allclose(error_map(image[..., 0], target[..., 0]), np.full((2, 5, 4), 0.3))


def test_without_a_target_there_are_no_errors(examples, tmp_path):
    unknown = replace(examples, target=None)
    columns = len(examples.inputs) + 1 + 2 * len(examples.outputs) + len(examples.weights)
    width = (draw_panel(examples).shape[1] - 4) // columns
    assert draw_panel(unknown).shape[1] == draw_panel(examples).shape[1] - width * (1 + len(examples.outputs))
    assert draw_figure(unknown, 0).shape[1] < draw_figure(examples, 0).shape[1]
    unknown.save(tmp_path / "examples.npz")
    again = Examples.load(tmp_path / "examples.npz")
    assert again.target is None
    np.testing.assert_array_equal(draw_panel(again), draw_panel(unknown))
