"""Distillation of images and of features against equations 5 and 6 of DS³-Net, and which network it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from equations import close


@pytest.mark.parametrize("name", ["image_distillation", "feature_distillation"])
@pytest.mark.parametrize("through", [False, True])
def test_the_teachers_gradient_from_each_distillation(prepare: Callable[..., Any], name: str, through: bool) -> None:
    built = prepare(f"losses.{name}.gradient_to_teacher={str(through).lower()}")
    built.term(name).loss(built.view(name)).backward()
    trained = [p.grad is not None and bool(p.grad.any()) for p in built.translators["teacher"].generator.parameters()]
    assert any(trained) == through
    assert any(p.grad is not None for p in built.translators["student"].generator.parameters())


@pytest.mark.parametrize("name", ["image_distillation", "feature_distillation"])
def test_eq_5_and_6(joint: Any, name: str) -> None:
    close(joint.term(name).loss(joint.view(name)), joint.reference.losses()[f"student/{name}"])
