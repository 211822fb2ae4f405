"""What values of recipes may be: types of TOML, bounds, names and sources."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gantk.recipe.values import (
    STRICT,
    BatchGroup,
    Decay,
    Labels,
    Name,
    Pair,
    Pixels,
    Rate,
    Seed,
    Selection,
    Settings,
    Several,
    WeightsSource,
)


def valid(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind, config=STRICT).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Rate, [1e-4, 2], [0, -1.0, math.inf, math.nan, "1e-4", True]),
        (Decay, [0.5], [0.0, 1.0]),
        (Pixels, [1, 2**14], [0, 2**14 + 1, 64.0]),
        (Seed, [0, 2**63 - 1], [-1, 2**63]),
        (Labels, [[], [1, 4]], [[0], [256], [1, 1]]),
        (Several[str], [["a"], ["a", "b"]], [[], ["a", "a"]]),
        (Pair[int], [[1, 2], (1, 2)], [[1], [1, 2, 3], [1, 2.5]]),
        (Name, ["t1", "student 2"], ["", "a/b", "..", " a", "a\n"]),
        (BatchGroup, ["paired", "unpaired", "paired:1/2"], ["pared", "paired:3/2", "paired:"]),
        (WeightsSource, ["runs/a:student", "C:x:student", "weights.safetensors"], ["a", ":student", "run:", "w.pt"]),
    ],
)
def test_bounds(kind: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not valid(kind, value)] == []
    assert [value for value in bad if valid(kind, value)] == []


def test_a_table_of_settings_has_no_other_keys_and_a_selection_passes_them_on() -> None:
    class Fixed(Settings):
        size: int = 3

    with pytest.raises(ValidationError, match="sise"):
        Fixed.model_validate({"sise": 3})
    chosen = Selection.model_validate({"use": "unet", "channels": 8, "levels": 2})
    assert (chosen.use, chosen.parameters) == ("unet", {"channels": 8, "levels": 2})
    with pytest.raises(ValidationError):
        chosen.use = "resnet"  # recipes do not change
