"""Variants and grids: their product and order, overrides, and what is explained."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gantk.errors import RecipeError, UsageError
from gantk.recipe import Recipe, dump_recipe, load_recipe
from gantk.recipe.overrides import SetOptions
from gantk.recipe.variants import in_turn, is_sweep, load_sweep
from sweep_recipes import SWEEP

Write = Callable[..., Path]


def test_children_are_the_product_of_variants_and_grids(written: Write) -> None:
    sweep = load_sweep(written())
    assert (sweep.name, sweep.description) == ("table", "a table")
    found = [(c.variant, c.changes["data.paired_fraction"], c.changes["run.seed"]) for c in sweep.children]
    common = [(fraction, seed) for fraction in (0.05, 0.5) for seed in (0, 1)]
    assert found == [
        *(("full", *point) for point in common),
        *(("no-map", *point) for point in common),
        *(("other", 1.0, seed) for seed in (0, 1)),
    ]
    for child in sweep.children:
        assert child.recipe.run.seed == child.changes["run.seed"]
        assert child.recipe.data.paired_fraction == child.changes["data.paired_fraction"]
        assert child.recipe.maps["edges"].enabled == (child.variant != "no-map")
        assert child.recipe.evaluation.batch == 3  # what the sweep's own file says holds for all
        assert re.fullmatch(rf"{child.variant}-paired_fraction-[\d.]+-seed-[01]-[0-9a-f]{{8}}", child.id)
    assert len({child.id for child in sweep.children}) == 10
    full, other = sweep.children[0], sweep.children[-1]
    assert (full.label, full.report) == ("Full method, 5 %", {"a": "", "b": ""})
    assert (other.label, other.report) == ("other, 100 %", {"a": ""})
    assert other.recipe.losses.keys() == {"pixelwise"}
    assert other.recipe.losses["pixelwise"].weight == 7
    assert other.recipe.translators["b"].generator.parameters["channels"] == 16  # `like` comes last
    assert other.recipe.name == "table-other"


def test_a_childs_recipe_is_that_of_an_ordinary_recipe(written: Write, tmp_path: Path) -> None:
    for child in load_sweep(written()).children:
        path = tmp_path / f"{child.id}.toml"
        path.write_text(dump_recipe(child.recipe))
        assert load_recipe(path) == child.recipe
        assert not is_sweep(path)


def test_a_grid_without_variants_and_variants_without_a_grid(written: Write) -> None:
    grid = load_sweep(written('extends = "base.toml"\nname = "seeds"\n[sweep]\nrun.seed = [3, 4]\n'))
    assert [(c.variant, c.label, c.recipe.run.seed) for c in grid.children] == [
        ("seeds", "seeds", 3),
        ("seeds", "seeds", 4),
    ]
    alone = load_sweep(
        written('extends = "base.toml"\n[variants.x]\n"run.seed" = 2\n[variants.y.losses.more]\nuse = "l1"\non = "a"\n')
    )
    assert [c.changes for c in alone.children] == [{}, {}]
    assert alone.children[0].recipe.run.seed == 2
    assert "more" in alone.children[1].recipe.losses


def test_children_run_seed_by_seed(written: Write) -> None:
    text = 'extends = "base.toml"\n[variants.x]\n[variants.y.losses.more]\nuse = "l1"\non = "a"\n[sweep]\n'
    whole = load_sweep(written(text + '"run.seed" = [3, 1]\n')).children
    assert [(c.variant, c.recipe.run.seed) for c in whole] == [("x", 3), ("x", 1), ("y", 3), ("y", 1)]
    assert [(c.variant, c.recipe.run.seed) for c in in_turn(whole)] == [("x", 3), ("y", 3), ("x", 1), ("y", 1)]


def test_overrides_of_other_keys_change_every_child(written: Write) -> None:
    whole = load_sweep(written())
    assert whole.selected == whole.children
    more = load_sweep(written(), ["schedule.epochs=2", "losses.pixelwise.weight=5"])
    assert more.selected == more.children
    assert {c.recipe.losses["pixelwise"].weight for c in more.children} == {5}
    assert {c.recipe.schedule.parameters["epochs"] for c in more.children} == {2}
    assert not {c.id for c in more.children} & {c.id for c in whole.children}
    assert more.table["schedule"]["epochs"] == 2


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        (["run.seed=1"], lambda r: r.run.seed == 1),
        (["run={seed = 1}"], lambda r: r.run.seed == 1),
        (["data.paired_fraction=1"], lambda r: r.data.paired_fraction == 1.0),  # of a variant's own grid alone
        (["run.seed=0", "data.paired_fraction=0.5"], lambda r: r.run.seed == 0 and r.data.paired_fraction == 0.5),
    ],
)
def test_overrides_of_the_grid_select_and_change_nothing(
    written: Write, overrides: list[str], wanted: Callable[[Recipe], bool]
) -> None:
    whole = load_sweep(written())
    part = load_sweep(written(), overrides)
    assert (part.children, part.table) == (whole.children, whole.table)
    assert [c.id for c in part.selected] == [c.id for c in whole.children if wanted(c.recipe)]
    both = load_sweep(written(), [*overrides, "schedule.epochs=2"])
    assert [c.changes for c in both.selected] == [c.changes for c in part.selected]
    assert {c.recipe.schedule.parameters["epochs"] for c in both.children} == {2}
    assert (both.table["schedule"]["epochs"], both.table.get("run")) == (2, whole.table.get("run"))


def test_a_variant_whose_grid_lacks_the_key_is_selected_by_its_own_value(written: Write) -> None:
    text = SWEEP.replace('{ "data.paired_fraction" = [1.0] }', '{ "data.paired_fraction" = [], "run.seed" = [] }')
    own = text.replace("[variants.other]\n", '[variants.other]\n"data.paired_fraction" = 0.5\n"run.seed" = 1\n')
    for override, also in (("data.paired_fraction=0.5", True), ("data.paired_fraction=0.05", False)):
        selected = load_sweep(written(own), [override]).selected
        assert ("other" in {c.variant for c in selected}) == also
        assert {"full", "no-map"} < {c.variant for c in selected} | {"other"}
    only = SWEEP.replace('"data.paired_fraction" = [1.0]', '"losses.pixelwise.weight" = [1, 2]')
    found = load_sweep(written(only), ["losses.pixelwise.weight=100"])  # the base's value
    assert {c.variant for c in found.selected} == {"full", "no-map"}


@pytest.mark.parametrize(
    ("overrides", "said", "mend"),
    [
        (["run.seed=5"], "no run of the sweep has run.seed = 5", "the grid has run.seed = 0, 1; "),
        (["run.seed=true"], "run.seed = true", "run.seed = 0, 1"),
        (
            ["run.seed=0", "data.paired_fraction=0.4"],
            "data.paired_fraction = 0.4 and run.seed = 0",
            "data.paired_fraction = 0.05, 0.5, 1.0",
        ),
    ],
)
def test_a_value_that_selects_nothing_is_explained(written: Write, overrides: list[str], said: str, mend: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_sweep(written(), overrides)
    assert said in caught.value.what
    assert mend in str(caught.value.mend)


@pytest.mark.parametrize(
    ("overrides", "where"),
    [(SetOptions(["run.seed=5"]), "--set"), (["run.seed=5"], "overrides"), ({"run.seed": 5}, "overrides")],
)
def test_errors_call_overrides_as_they_were_given(written: Write, overrides: Any, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_sweep(written(), overrides)
    assert caught.value.where == where


@pytest.mark.parametrize(
    "override",
    ['variants.full.label="x"', "sweep.run.seed=[7]", 'sweep={"run.seed" = [7]}', "extends=other.toml", "reference=x"],
)
def test_what_only_a_file_says_cannot_be_set(written: Write, override: str) -> None:
    for load in (load_sweep, load_recipe):
        with pytest.raises(UsageError, match="cannot be set") as caught:
            load(written(), [override])
        assert repr(override.partition("=")[0])[:-1] in caught.value.what
        assert "run.seed=0" in str(caught.value.mend)


def test_a_sweep_may_name_the_row_of_reference(written: Write) -> None:
    plain = load_sweep(written())
    assert plain.reference == ""
    named = load_sweep(written(f'reference = "Full method"\n{SWEEP}'))
    assert named.reference == named.table["reference"] == "Full method"
    assert named.children == plain.children
    path = written('extends = "sweep.toml"\nreference = "no-map"\n[variants.more]\n"training.ema" = 0.9\n', "more.toml")
    assert load_sweep(path).reference == "no-map"
    for wrong in ("3", '""'):
        path = written(f"\nreference = {wrong}\n{SWEEP}")
        with pytest.raises(RecipeError, match="title or label of a row") as caught:
            load_sweep(path)
        assert str(caught.value.where) == f"{path}:2"


@pytest.mark.parametrize(
    ("old", "new", "mend"),
    [
        ('label = "Full method"', 'lable = "Full method"', "'label'"),
        ('report = ["a", "b"]', 'reports = ["a", "b"]', "'report'"),
        ("sweep = {", "sweeps = {", "'sweep'"),
        ("without = [", "withuot = [", "'without'"),
        ("[sweep]", "[sweeps]", "'sweep'"),
        ("[variants.no-map]", "[variant.no-map]", "'variants'"),
        ('description = "a table"', 'refrence = "no-map"', "'reference'"),
        ('description = "a table"', 'label = "a table"', "[variants.NAME]"),
    ],
)
def test_a_misspelt_key_of_sweeps_is_explained(written: Write, old: str, new: str, mend: str) -> None:
    path = written(SWEEP.replace(old, new))
    with pytest.raises(RecipeError) as caught:
        load_sweep(path)
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if text.startswith(new))
    assert f"sweep.toml:{line}" in str(caught.value.where)
    assert mend in str(caught.value.mend)


@pytest.mark.parametrize(
    ("more", "mend"),
    [("[sweeps]\nx = 1\n", "'sweep'"), ("[variant.a]\nx = 1\n", "'variants'"), ("[reference]\n", "[variants.NAME]")],
)
def test_a_recipe_that_was_to_be_a_sweep_is_explained(written: Write, more: str, mend: str) -> None:
    path = written(f'extends = "base.toml"\n{more}')
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value.where).endswith("sweep.toml:2")
    assert mend in str(caught.value.mend)


def test_a_recipe_that_extends_a_sweep_inherits_it(written: Write) -> None:
    written()
    path = written(
        'extends = "../sweep.toml"\nwithout = ["variants.no-map"]\nname = "mine"\n[data]\nvoxel = 4.0\n',
        "own/mine.toml",
    )
    assert is_sweep(path)
    sweep = load_sweep(path)
    assert {c.variant for c in sweep.children} == {"full", "other"}  # other.toml is found beside the sweep
    assert {c.recipe.data.parameters["voxel"] for c in sweep.children} == {4.0}
    assert {c.recipe.evaluation.batch for c in sweep.children} == {3}


@pytest.mark.parametrize("name", ["tables/table1.toml", "ablations/ds3.toml"])
def test_the_shipped_sweeps_are_measured_alike(recipes: Path, name: str) -> None:
    children = load_sweep(recipes / name).children
    data = {
        json.dumps(c.recipe.data.model_dump(include={"crop", "spacing", "split", "normalisation"})) for c in children
    }
    measured = {
        json.dumps([c.recipe.measured, c.recipe.evaluation.model_dump(include={"metrics", "regions", "mask"})])
        for c in children
    }
    assert (len(data), len(measured)) == (1, 1)
    seeds = {
        c.variant: {other.changes["run.seed"] for other in children if other.variant == c.variant} for c in children
    }
    assert {0, 1} <= next(iter(seeds.values()))
    assert len(set(map(frozenset, seeds.values()))) == 1
