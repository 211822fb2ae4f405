"""Correct components, as bases of faulty ones, and the message of a conformance class about a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

import gantk
import gantk.testing
from gantk import Needs, View
from gantk.testing import ConformanceError


def failure(component: type, kind: str, test: str, *arguments: Any, **attributes: Any) -> str:
    """The message of a failing test of a component; the test must fail."""
    cls = type("TestIt", (gantk.testing.conformance(kind),), {"component": component, **attributes})
    with pytest.raises(ConformanceError) as raised:
        getattr(cls(), f"test_{test}")(*arguments)
    assert "Mend: " in str(raised.value)
    return str(raised.value)


class Generator(gantk.testing.TinyGenerator):
    """A correct generator; its subclasses have one fault each."""


class Discriminator(gantk.testing.TinyDiscriminator):
    """Right in everything."""


def changed(base: type, change: Callable[..., Any]) -> type:
    """A network whose output is changed."""

    class Changed(base):  # type: ignore[misc,valid-type]
        def forward(self, image: Tensor, *arguments: Any) -> Any:
            return change(super().forward(image, *arguments), image)

    return Changed


class PlainLoss:
    """Right in everything."""

    needs = Needs(target=True)

    def __call__(self, view: View) -> Tensor:
        return (view.target - view.output).abs().mean()

    def discriminator(self, view: View) -> Tensor:
        return view.judge(view.fake).mean()
