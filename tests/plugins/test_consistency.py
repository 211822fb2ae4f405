"""Consistency with a teacher that sees the mirrored slices, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from equations import array, ramp
from gantk import View
from gantk_baselines.consistency import Consistency


def answers(view: View, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """The student's output, and the teacher's as the student should follow it."""
    student, teacher = (view.step.translators[role].generator for role in ("student", "teacher"))
    source = view.source
    wanted = teacher(source.flip(-1)).flip(-1) if mirrored else teacher(source)
    return array(student(source)), array(wanted)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("distance", "error"), [("l2", np.square), ("l1", np.abs)])
@pytest.mark.parametrize("shown", ["mirrored", "same"])
def test_the_distance_to_the_teachers_answer(
    at: Callable[..., View], shown: Any, distance: Any, error: Callable[..., Any], weighted: bool
) -> None:
    loss = Consistency("teacher", shown, distance)  # type: ignore[arg-type]
    view = at(loss, role="student", group="unpaired", weight_map=ramp if weighted else None)
    ours, wanted = answers(view, shown == "mirrored")
    weight = array(ramp(view)) if weighted else 1.0
    assert loss(view).item() == pytest.approx((weight * error(ours - wanted)).mean(), rel=1e-12)


def test_the_teacher_is_not_trained(at: Callable[..., View]) -> None:
    view = at(loss := Consistency("teacher"), role="student", group="unpaired")  # type: ignore[arg-type]
    loss(view).backward()
    assert all(p.grad is None for p in view.step.translators["teacher"].parameters())
    assert all(p.grad.any() for p in view.step.translators["student"].generator.parameters())


def test_mirrored_and_same_differ_where_a_teacher_sees_neighbors(at: Callable[..., View]) -> None:
    """A teacher that shifts the image: the mirrored answer is shifted the other way."""

    class Shift(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image[:, :1].roll(1, -1)

    values = {}
    for shown in ("mirrored", "same"):
        loss = Consistency("teacher", shown, "l1")  # type: ignore[arg-type]
        view = at(loss, role="student", group="unpaired")
        view.step.translators["teacher"].generator = Shift()
        by = -1 if shown == "mirrored" else 1
        expected = np.abs(array(view.output) - array(view.source[:, :1].roll(by, -1))).mean()
        values[shown] = loss(view).item()
        assert values[shown] == pytest.approx(expected, rel=1e-12)
    assert values["mirrored"] != pytest.approx(values["same"])
