"""Panels: fixed windows, nothing random, any names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gantk.evaluation.examples import Examples
from gantk.report.panels import draw_panel
from gantk.report.tiles import GREY, enlarge


def doubled(examples: Examples) -> Examples:
    """The outputs twice as bright above the background."""
    outputs = {role: (image + 1) * 2 - 1 for role, image in examples.outputs.items()}
    return replace(examples, outputs=outputs)


def test_panel_is_deterministic(examples):
    first, second = draw_panel(examples), draw_panel(examples)
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


def test_image_pixels_are_in_the_panel(examples):
    """The first tile holds the first input's own pixels in the window [-1, 1]."""
    image = examples.inputs["t1"][0]
    tile = GREY.paint(enlarge(image))
    panel = draw_panel(examples)
    height, width = tile.shape[:2]
    assert any((panel[top : top + height, 4 : 4 + width] == tile).all() for top in range(20, 60))


def test_names_do_not_matter(examples):
    plain = replace(examples, outputs={"généré ✓": examples.outputs["student"]}, weights={}, titles=[])
    assert draw_panel(plain).shape[1] < draw_panel(examples).shape[1]


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
