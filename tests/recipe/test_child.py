"""A run of a sweep: its id says what it computes, and its errors say which variant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantk.errors import RecipeError
from gantk.recipe import dump_recipe
from gantk.recipe.variants import Child, load_sweep
from sweep_recipes import SWEEP

Write = Callable[..., Path]


def digest(child: Child) -> str:
    return child.id.rpartition("-")[2]


def computed(child: Child) -> str:
    return dump_recipe(child.recipe.model_copy(update={"name": "x", "description": ""}))


def test_what_is_only_told_changes_no_id(written: Write) -> None:
    before = [c.id for c in load_sweep(written()).children]
    told = (
        SWEEP.replace("a table", "another").replace("Full method", "All of it").replace('name = "table"', 'name = "t2"')
    )
    told += '[tracking]\nexperiment = "elsewhere"\n'
    assert [c.id for c in load_sweep(written(told)).children] == before
    explicit = SWEEP.replace("[evaluation]\n", "[evaluation]\nexamples = 6\n")  # the default, said
    assert [c.id for c in load_sweep(written(explicit)).children] == before


VARIANTS = {
    "plain": {},
    "no-map": {"maps.edges.enabled": False},
    "heavy": {"losses.pixelwise.weight": 300, "schedule.epochs": 5},
    "wide": {"translators.a.generator.channels": 16},
}


AXES = {
    "run.seed": [0, 1, 2],
    "data.paired_fraction": [0.05, 0.5, 1.0],
    "losses.structure.weight": [1, 2.5],
    "data.crop": [[64, 64], [96, 80]],
}


def text(variants: list[str], grid: dict[str, list[Any]]) -> str:
    lines = ['extends = "base.toml"', 'name = "t"']
    for name in variants:
        lines += [f"[variants.{name}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in VARIANTS[name].items())]
    return "\n".join([*lines, "[sweep]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in grid.items())])


@st.composite
def grids(draw: st.DrawFn) -> dict[str, list[Any]]:
    keys = draw(st.lists(st.sampled_from(sorted(AXES)), unique=True, max_size=3))
    return {key: draw(st.lists(st.sampled_from(AXES[key]), min_size=1, unique_by=json.dumps)) for key in keys}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.sampled_from(sorted(VARIANTS)), unique=True, min_size=1), grids(), st.randoms())
def test_ids_are_stable_and_say_what_is_computed(
    written: Write, variants: list[str], grid: dict[str, list[Any]], random: Any
) -> None:
    children = load_sweep(written(text(variants, grid))).children
    size = len(variants)
    for values in grid.values():
        size *= len(values)
    assert len(children) == size == len({c.id for c in children})
    # the order of variants, keys and values says nothing
    mixed, keys = variants.copy(), list(grid)
    random.shuffle(mixed)
    random.shuffle(keys)
    shuffled = {key: random.sample(grid[key], len(grid[key])) for key in keys}
    again = load_sweep(written(text(mixed, shuffled))).children
    known = {c.id: computed(c) for c in children}
    assert {c.id: computed(c) for c in again} == known
    # equal digits if and only if the recipes compute the same
    for one in children:
        for other in children:
            assert (digest(one) == digest(other)) == (known[one.id] == known[other.id])
    # a child of a part of the sweep is that of the whole
    part = load_sweep(written(text(variants[:1], {key: values[:1] for key, values in grid.items()}))).children
    assert {c.id for c in part} <= {c.id for c in children}


@pytest.mark.parametrize(
    ("change", "said", "mend", "line"),
    [
        (('"maps.edges.enabled"', '"maps.edges.enabeld"'), None, None, None),  # the map's own, so far
        (('"maps.edges.enabled"', '"maps.egdes.enabled"'), "no 'maps.egdes'", "edges", '"maps.egdes.enabled"'),
        (('"maps.edges.enabled" = false', '"training.emma" = 0.9'), "'training.emma'", "ema", '"training.emma"'),
        (('"maps.edges.enabled" = false', '"losses.pixelwise.weight" = "x"'), "wise.weight", None, '"losses.pix'),
        (('"maps.edges.enabled" = false', '"run.seed" = 3'), "the grid also sets", "sweep = ", '"run.seed" = 3'),
        (('"maps.edges.enabled" = false', 'report = ["c"]'), "reports 'c'", None, 'report = ["c"]'),
        (('"maps.edges.enabled" = false', 'report = { c = "C" }'), "reports 'c'", None, "report = { c"),
        (('"maps.edges.enabled" = false', 'report = { bb = "B" }'), "reports 'bb'", "'b'", "report = { bb"),
        (('"maps.edges.enabled" = false', 'report = { a = "" }'), "a row name for each role", None, "report = { a"),
        (('"maps.edges.enabled" = false', "report = { a = 1 }"), "a row name for each role", None, "report = { a"),
        (('"maps.edges.enabled" = false', 'report = { a = "X", b = "X" }'), "rows the name 'X'", None, "report = { a"),
        (('"maps.edges.enabled" = false', 'report = "a"'), "a list of roles", None, 'report = "a"'),
        (('"maps.edges.enabled" = false', "label = 3"), "label", None, "label = 3"),
        (('"maps.edges.enabled" = false', '"maps.edges" = 3'), "maps.edges", None, '"maps.edges" = 3'),
        (('"maps.edges.enabled" = false', 'without = ["losses.pixelwize"]'), "pixelwize", "pixelwise", "without = "),
        (('"maps.edges.enabled" = false', 'sweep = { "run.seed" = 3 }'), "list of values", None, "sweep = { \"run"),
    ],
)  # fmt: skip
def test_errors_name_variant_and_line(
    written: Write, change: tuple[str, str], said: str | None, mend: str | None, line: str | None
) -> None:
    path = written(SWEEP.replace(*change))
    if said is None:
        assert load_sweep(path).children[4].recipe.maps["edges"].parameters == {"enabeld": False}
        return
    with pytest.raises(RecipeError) as caught:
        load_sweep(path)
    error = str(caught.value)
    assert said in error
    assert line is not None
    number = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if text.startswith(line))
    assert f"sweep.toml:{number}" in error
    assert "variant 'no-map': " in error
    if mend:
        assert mend in error
