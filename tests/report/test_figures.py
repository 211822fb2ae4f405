"""Figures of a slice, with its tumor enlarged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gantk.evaluation.examples import Examples
from gantk.report.figures import draw_figure, tumour_box
from gantk.report.panels import draw_panel


def doubled(examples: Examples) -> Examples:
    """The outputs twice as bright above the background."""
    outputs = {role: (image + 1) * 2 - 1 for role, image in examples.outputs.items()}
    return replace(examples, outputs=outputs)


def test_figure_has_a_zoom_only_with_a_tumour(examples):
    figure = draw_figure(examples, 0)
    bare = replace(examples, segmentation=np.zeros_like(examples.segmentation))
    assert draw_figure(bare, 0).shape[0] < figure.shape[0]
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
