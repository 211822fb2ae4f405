"""Variants: their rows, and what may be wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from gantk.errors import RecipeError
from gantk.recipe.variants import load_sweep
from sweep_recipes import SWEEP

Write = Callable[..., Path]


def test_rows_can_be_called_otherwise(written: Write) -> None:
    named = 'report = { b = "B of it", a = "A of it" }'
    before = load_sweep(written()).children
    inline = load_sweep(written(SWEEP.replace('report = ["a", "b"]', named))).children
    assert inline[0].report == {"b": "B of it", "a": "A of it"}
    assert list(inline[0].report) == ["b", "a"]  # the order of the rows
    assert [child.id for child in inline] == [child.id for child in before]  # a name computes nothing
    table = SWEEP.replace('report = ["a", "b"]\n', "") + '[variants.full.report]\nb = "B of it"\na = "A of it"\n'
    assert [child.report for child in load_sweep(written(table)).children] == [child.report for child in inline]


def test_rows_that_nobody_can_tell_apart_are_refused(written: Write) -> None:
    twin = SWEEP.replace("[variants.no-map]\n", '[variants.no-map]\nlabel = "Full method"\n')
    assert len(load_sweep(written(twin)).children) == 10  # a row of two roles, and one of none: they are told apart
    path = written(twin.replace('report = ["a", "b"]\n', ""))
    with pytest.raises(RecipeError, match="'full' and 'no-map' both make the row 'Full method'") as caught:
        load_sweep(path)
    line = path.read_text().splitlines().index('label = "Full method"', 10) + 1
    assert str(caught.value.where).endswith(f"sweep.toml:{line}")
    assert "another label" in str(caught.value.mend)
    named = SWEEP.replace('["a", "b"]', '{ a = "no-map" }')  # by its row's name
    with pytest.raises(RecipeError, match="both make the row 'no-map'"):
        load_sweep(written(named))
    grids = SWEEP.replace("[variants.other]\n", '[variants.other]\nlabel = "no-map"\n')
    assert len(load_sweep(written(grids)).children) == 10  # another paired fraction


AXES = {
    "run.seed": [0, 1, 2],
    "data.paired_fraction": [0.05, 0.5, 1.0],
    "losses.structure.weight": [1, 2.5],
    "data.crop": [[64, 64], [96, 80]],
}


@st.composite
def grids(draw: st.DrawFn) -> dict[str, list[Any]]:
    keys = draw(st.lists(st.sampled_from(sorted(AXES)), unique=True, max_size=3))
    return {key: draw(st.lists(st.sampled_from(AXES[key]), min_size=1, unique_by=json.dumps)) for key in keys}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"run.seed" = [0, 1]', '"run.seed" = 3'), "list of values"),
        (('"run.seed" = [0, 1]', '"run.seed" = []'), "list of values"),
        (('"run.seed" = [0, 1]', '"run.seed" = [1, 1]'), "repeats a value"),
        (('"run.seed" = [0, 1]', '"run.sed" = [0, 1]'), "run.sed"),
        (("[variants.full]", '[variants."a/b"]'), "not a valid name of a variant"),
        (('name = "table"\n', ""), None),
        (('extends = "other.toml"', 'extends = "othr.toml"'), "no such recipe"),
    ],
)
def test_a_wrong_sweep_is_explained(written: Write, change: tuple[str, str], said: str | None) -> None:
    path = written(SWEEP.replace(*change))
    if said is None:  # it has its parent's name
        assert load_sweep(path).name == "base"
        return
    with pytest.raises(RecipeError, match=re.escape(said)):
        load_sweep(path)
