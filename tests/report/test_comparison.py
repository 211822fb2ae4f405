"""Figure 2, its selection of slices, and files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gantk.errors import EvaluationError
from gantk.evaluation.examples import Examples
from gantk.report.comparison import Shown, combine, draw_comparison


@pytest.fixture
def shown(examples: Examples) -> dict[str, Shown]:
    return {role: Shown.of(examples, 0, role) for role in ("teacher", "student")}


def images_of(figure) -> list[tuple[np.ndarray, tuple[float, float]]]:
    return [(image.get_array(), image.get_clim()) for axes in figure.axes for image in axes.images]


def test_every_image_has_its_place_in_one_window(shown):
    figure = draw_comparison(combine("p, slice 3", shown))
    pictures = [(a, c) for a, c in images_of(figure) if a.shape[0] > 1]
    # two inputs, then target, synthesis and error of two methods, each with its zoom
    assert len(pictures) == 2 * (2 + 3 * 2)
    assert {clim for _, clim in pictures} == {(-1.0, 1.0), (0.0, 0.3)}
    errors = [array for array, clim in pictures if clim == (0.0, 0.3)]
    assert errors[0].max() == pytest.approx(0.35)  # a disc of 0.2 where 0.9 should be
    assert errors[2].max() == pytest.approx(0.25)
    assert errors[1].size < errors[0].size
    assert errors[1].max() == errors[0].max()
    texts = {text.get_text() for text in figure.texts}
    assert {"p, slice 3", "t1", "t2", "target", "synthesis", "|synthesis − target|", "teacher", "student"} <= texts
    assert sum(axes.get_xlabel() == "absolute error" for axes in figure.axes) == 2


def test_without_a_tumour_there_is_no_right_half(shown):
    bare = {label: replace(one, segmentation=np.zeros_like(one.segmentation)) for label, one in shown.items()}
    figure = draw_comparison(combine("p", bare))
    assert len([a for a, _ in images_of(figure) if a.shape[0] > 1]) == 2 + 3 * 2
    assert figure.get_figwidth() < draw_comparison(combine("p", shown)).get_figwidth() / 1.7


def test_what_is_not_one_image_is_refused(shown):
    moved = replace(shown["student"], target=np.roll(shown["student"].target, 3, axis=1))
    with pytest.raises(EvaluationError, match=r"the targets of teacher and student differ by up to 0\.\d+"):
        combine("p", shown | {"student": moved})
    small = replace(shown["student"], target=shown["student"].target[:-2])
    with pytest.raises(EvaluationError, match=r"\d+ × \d+ pixels in teacher, \d+ × \d+ in student"):
        combine("p", shown | {"student": small})


def test_a_hidden_input_is_taken_from_the_run_that_saw_it(shown):
    blind = replace(shown["teacher"], inputs={"t1": np.full_like(shown["teacher"].target, -1)})
    found = combine("p", {"teacher": blind, "student": shown["student"]})
    assert found.inputs.keys() == {"t1", "t2"}
    assert found.inputs["t1"].max() > 0
