"""`[inference]`: windows of slices and of volumes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gantk.recipe.inference import InferenceSettings


@pytest.mark.parametrize("window", [None, [64, 96], [8, 64, 96]])
def test_a_window_has_two_sides_or_three(window: list[int] | None) -> None:
    found = InferenceSettings.model_validate({"window": window}).window
    assert found == (None if window is None else tuple(window))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"window": [64]}, "must be [height, width] for slices, or [slices, height, width] for volumes"),
        ({"window": [1, 2, 3, 4]}, "must be [height, width]"),
        ({"overlap": 0.96}, "less than or equal to 0.95"),
        ({"overlap": -0.1}, "greater than or equal to 0"),
        ({"blend": "mean"}, "'gaussian', 'constant' or 'median'"),
        ({"batch": 0}, "greater than"),
    ],
)
def test_what_is_none_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        InferenceSettings.model_validate(wrong)
    assert said in caught.value.errors()[0]["msg"]
