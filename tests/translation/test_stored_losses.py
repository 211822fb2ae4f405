"""Networks, random numbers and losses of slices are those that were stored before volumes came.

`stored_losses.json` was written at the commit before, its losses anew when each transform and group got a sequence of
its own. It holds digests of all names and shapes, which must be equal, and numbers, which may differ by what another
processor rounds otherwise. On one machine all were equal bit by bit, for all shipped recipes and for every component by
itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gantk.plugins import Registry
from gantk.recipe import load_recipe
from small_recipes import small
from two_steps import two_steps

RECIPES = Path(__file__).parents[2] / "recipes"
STORED: dict[str, Any] = json.loads(Path(__file__).with_name("stored_losses.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", STORED)
def test_two_steps_are_as_stored(name: str, registry: Registry) -> None:
    wanted = STORED[name]
    found = two_steps(small(load_recipe(RECIPES / f"{name}.toml")), registry)
    assert found.keys() == wanted.keys()
    assert found["names"] == wanted["names"]
    assert found["weights"] == pytest.approx(wanted["weights"], rel=1e-6)
    rounding = 1e-5  # of the first step; Adam's update amplifies small gradients
    for stage in (name for name in found if name not in ("names", "weights")):
        for now, before in zip(found[stage], wanted[stage], strict=True):
            assert now == pytest.approx(before, rel=rounding)
            rounding = 1e-2
