"""The difficulty map against equation 1 of DS³-Net in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ds3net_paper import Array
from equations import array, close


@pytest.mark.parametrize(("term", "role"), [("teacher_pixelwise", "teacher"), ("image_distillation", "student")])
def test_eq1_difficulty_map(joint: Any, term: str, role: str) -> None:
    view = joint.view(term)
    weight = view.weight
    np.testing.assert_allclose(array(weight), joint.reference.map[role], rtol=1e-10)
    assert weight.shape == (2, 1, 16, 24)
    assert not weight.requires_grad
    background = (view.source == -1).all(dim=1, keepdim=True)
    assert background.any()
    assert (weight[background] == 0.2).all()
    assert weight[~background].std() > 0.05  # it does tell places apart


def test_eq1_tissue_is_where_any_input_is_above_the_background(prepare: Callable[..., Any]) -> None:
    built = prepare()
    source = built.batch["paired"].source
    source[:, :, 0, 0] = -1
    source[:, 2, 0, 0] = -0.999  # tissue in one modality alone
    weight = built.view("teacher_pixelwise").weight
    assert (weight[..., 0, 0] != 0.2).all()
    assert (weight[..., 0, 1] == 0.2).all()


def test_eq1_is_the_constant_1_in_the_first_stage(prepare: Callable[..., Any]) -> None:
    built = prepare(stage="teacher")
    view = built.view("teacher_pixelwise")
    assert view.weight is None
    reference = built.reference
    output = reference.forward().output["teacher"]
    close(built.term("teacher_pixelwise").loss(view), np.abs(array(view.target) - output).mean())
    reference.map["teacher"] = np.ones_like(reference.map["teacher"])
    close(
        built.term("teacher_patchwise").loss(built.view("teacher_patchwise")),
        reference.contrast("teacher", reference.forward()),
    )


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"background": 0.7}, lambda m, inside: np.where(inside, m, 0.7)),
        ({"clamp": 0.9}, lambda m, inside: np.where(inside, np.minimum(m, 0.9), 0.2)),
        (
            {"normalise": '"max"'},
            lambda m, inside: np.where(inside, m / (m * inside).max((1, 2, 3), keepdims=True), 0.2),
        ),
        (
            {"normalise": '"mean"'},
            lambda m, inside: np.where(inside, m / np.mean(m, (1, 2, 3), where=inside, keepdims=True), 0.2),
        ),
    ],
)
def test_eq1_options(prepare: Callable[..., Any], options: dict[str, Any], change: Callable[..., Array]) -> None:
    built = prepare(*(f"maps.difficulty.{k}={v}" for k, v in options.items()))
    inside = (array(built.batch["paired"].source) > -1).any(axis=1, keepdims=True)
    expected = change(built.reference.map["teacher"], inside)
    np.testing.assert_allclose(array(built.view("teacher_pixelwise").weight), expected, rtol=1e-10)


def test_eq1_nearest_interpolation_repeats_the_patch_scores(prepare: Callable[..., Any]) -> None:
    built = prepare('maps.difficulty.interpolation="nearest"')
    scores = built.reference.forward().judged["teacher"]
    repeated = np.abs(1 - scores).repeat(16 // scores.shape[2], 2).repeat(24 // scores.shape[3], 3)
    inside = (array(built.batch["paired"].source) > -1).any(axis=1, keepdims=True)
    expected = np.where(inside, repeated, 0.2)
    np.testing.assert_allclose(array(built.view("teacher_pixelwise").weight), expected, rtol=1e-10)


def test_eq1_a_switched_off_map_is_the_constant_1(prepare: Callable[..., Any]) -> None:
    built = prepare("maps.difficulty.enabled=false")
    assert built.view("teacher_pixelwise").weight is None
