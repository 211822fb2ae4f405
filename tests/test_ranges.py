"""Types of numbers with a range."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gantk import Count, Distinct, Finite, Fraction, NonNegative, Positive, RecipeError, Whole
from gantk.plugins import Component


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (Count, [1, 3], [0, -1, 1.5, True]),
        (Whole, [0, 3], [-1, True]),
        (Positive, [1e-9, 2], [0, -1, math.inf, math.nan, True]),
        (NonNegative, [0, 2], [-1e-9, math.inf, True]),
        (Fraction, [0, 1, 0.5], [-0.1, 1.1, math.nan]),
        (Finite, [-5, 0.5], [math.inf, math.nan, True]),
        (Distinct[Whole], [(0,), (0, 4)], [(), (1, 1), (-1,), (True,)]),
        (Distinct[str], [("a",)], [(), ("a", "a")]),
        (float, [-1, 2.5], [math.inf, math.nan, True]),  # of a plugin that says no more
        (list[int], [[], [-3]], [[True]]),
    ],
)
def test_annotations(annotation: Any, good: list[Any], bad: list[Any]) -> None:
    class Mine:
        def __init__(self, value: Any) -> None:
            self.value = value

    Mine.__init__.__annotations__["value"] = annotation
    component = Component("mine", "metric", Mine, "plugin", "1")
    for value in good:
        assert component.build({"value": value}, "here").value == value
    for value in bad:
        with pytest.raises(RecipeError, match=r"^here\.value"):
            component.check({"value": value}, "here")
