"""Variants and grids: their product, ids that say what a child computes, errors that name variant and line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantk.errors import RecipeError, UsageError
from gantk.recipe import Recipe, dump_recipe, load_recipe
from gantk.recipe.overrides import SetOptions
from gantk.recipe.variants import Child, in_turn, is_sweep, load_sweep

BASE = """\
name = "base"
predict = "a"

[data]
dataset = "phantom"
inputs = ["t1", "t2"]
target = "t1ce"

[translators.a]
generator = { use = "resnet", channels = 8 }

[translators.b]
like = "a"

[maps.edges]
use = "edges"

[losses.pixelwise]
use = "l1"
on = "a"
map = "edges"
weight = 100

[losses.structure]
use = "ssim"
on = "b"

[schedule]
use = "linear_decay"
epochs = 20
"""
OTHER = BASE.replace('name = "base"', 'name = "other"').replace("weight = 100", "weight = 7")
SWEEP = """\
extends = "base.toml"
name = "table"
description = "a table"

[evaluation]
batch = 3

[variants.full]
label = "Full method"
report = ["a", "b"]

[variants.no-map]
"maps.edges.enabled" = false

[variants.other]
extends = "other.toml"
without = ["losses.structure"]
"translators.a.generator.channels" = 16
sweep = { "data.paired_fraction" = [1.0] }

[sweep]
"data.paired_fraction" = [0.05, 0.5]
"run.seed" = [0, 1]
"""

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "base.toml").write_text(BASE)
    (folder / "other.toml").write_text(OTHER)

    def make(text: str = SWEEP, name: str = "sweep.toml") -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return make


def digest(child: Child) -> str:
    return child.id.rpartition("-")[2]


def computed(child: Child) -> str:
    return dump_recipe(child.recipe.model_copy(update={"name": "x", "description": ""}))


def test_children_are_the_product_of_variants_and_grids(write: Write) -> None:
    sweep = load_sweep(write())
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


def test_rows_can_be_called_otherwise(write: Write) -> None:
    named = 'report = { b = "B of it", a = "A of it" }'
    before = load_sweep(write()).children
    inline = load_sweep(write(SWEEP.replace('report = ["a", "b"]', named))).children
    assert inline[0].report == {"b": "B of it", "a": "A of it"}
    assert list(inline[0].report) == ["b", "a"]  # the order of the rows
    assert [child.id for child in inline] == [child.id for child in before]  # a name computes nothing
    table = SWEEP.replace('report = ["a", "b"]\n', "") + '[variants.full.report]\nb = "B of it"\na = "A of it"\n'
    assert [child.report for child in load_sweep(write(table)).children] == [child.report for child in inline]


def test_a_childs_recipe_is_that_of_an_ordinary_recipe(write: Write, tmp_path: Path) -> None:
    for child in load_sweep(write()).children:
        path = tmp_path / f"{child.id}.toml"
        path.write_text(dump_recipe(child.recipe))
        assert load_recipe(path) == child.recipe
        assert not is_sweep(path)


def test_a_grid_without_variants_and_variants_without_a_grid(write: Write) -> None:
    grid = load_sweep(write('extends = "base.toml"\nname = "seeds"\n[sweep]\nrun.seed = [3, 4]\n'))
    assert [(c.variant, c.label, c.recipe.run.seed) for c in grid.children] == [
        ("seeds", "seeds", 3),
        ("seeds", "seeds", 4),
    ]
    alone = load_sweep(
        write('extends = "base.toml"\n[variants.x]\n"run.seed" = 2\n[variants.y.losses.more]\nuse = "l1"\non = "a"\n')
    )
    assert [c.changes for c in alone.children] == [{}, {}]
    assert alone.children[0].recipe.run.seed == 2
    assert "more" in alone.children[1].recipe.losses


def test_children_run_seed_by_seed(write: Write) -> None:
    text = 'extends = "base.toml"\n[variants.x]\n[variants.y.losses.more]\nuse = "l1"\non = "a"\n[sweep]\n'
    whole = load_sweep(write(text + '"run.seed" = [3, 1]\n')).children
    assert [(c.variant, c.recipe.run.seed) for c in whole] == [("x", 3), ("x", 1), ("y", 3), ("y", 1)]
    assert [(c.variant, c.recipe.run.seed) for c in in_turn(whole)] == [("x", 3), ("y", 3), ("x", 1), ("y", 1)]


def test_overrides_of_other_keys_change_every_child(write: Write) -> None:
    whole = load_sweep(write())
    assert whole.selected == whole.children
    more = load_sweep(write(), ["schedule.epochs=2", "losses.pixelwise.weight=5"])
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
    write: Write, overrides: list[str], wanted: Callable[[Recipe], bool]
) -> None:
    whole = load_sweep(write())
    part = load_sweep(write(), overrides)
    assert (part.children, part.table) == (whole.children, whole.table)
    assert [c.id for c in part.selected] == [c.id for c in whole.children if wanted(c.recipe)]
    both = load_sweep(write(), [*overrides, "schedule.epochs=2"])
    assert [c.changes for c in both.selected] == [c.changes for c in part.selected]
    assert {c.recipe.schedule.parameters["epochs"] for c in both.children} == {2}
    assert (both.table["schedule"]["epochs"], both.table.get("run")) == (2, whole.table.get("run"))


def test_a_variant_whose_grid_lacks_the_key_is_selected_by_its_own_value(write: Write) -> None:
    text = SWEEP.replace('{ "data.paired_fraction" = [1.0] }', '{ "data.paired_fraction" = [], "run.seed" = [] }')
    own = text.replace("[variants.other]\n", '[variants.other]\n"data.paired_fraction" = 0.5\n"run.seed" = 1\n')
    for override, also in (("data.paired_fraction=0.5", True), ("data.paired_fraction=0.05", False)):
        selected = load_sweep(write(own), [override]).selected
        assert ("other" in {c.variant for c in selected}) == also
        assert {"full", "no-map"} < {c.variant for c in selected} | {"other"}
    only = SWEEP.replace('"data.paired_fraction" = [1.0]', '"losses.pixelwise.weight" = [1, 2]')
    found = load_sweep(write(only), ["losses.pixelwise.weight=100"])  # the base's value
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
def test_a_value_that_selects_nothing_is_explained(write: Write, overrides: list[str], said: str, mend: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_sweep(write(), overrides)
    assert said in caught.value.what
    assert mend in str(caught.value.mend)


@pytest.mark.parametrize(
    ("overrides", "where"),
    [(SetOptions(["run.seed=5"]), "--set"), (["run.seed=5"], "overrides"), ({"run.seed": 5}, "overrides")],
)
def test_errors_call_overrides_as_they_were_given(write: Write, overrides: Any, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_sweep(write(), overrides)
    assert caught.value.where == where


@pytest.mark.parametrize(
    "override",
    ['variants.full.label="x"', "sweep.run.seed=[7]", 'sweep={"run.seed" = [7]}', "extends=other.toml", "reference=x"],
)
def test_what_only_a_file_says_cannot_be_set(write: Write, override: str) -> None:
    for load in (load_sweep, load_recipe):
        with pytest.raises(UsageError, match="cannot be set") as caught:
            load(write(), [override])
        assert repr(override.partition("=")[0])[:-1] in caught.value.what
        assert "run.seed=0" in str(caught.value.mend)


def test_rows_that_nobody_can_tell_apart_are_refused(write: Write) -> None:
    twin = SWEEP.replace("[variants.no-map]\n", '[variants.no-map]\nlabel = "Full method"\n')
    assert len(load_sweep(write(twin)).children) == 10  # a row of two roles, and one of none: they are told apart
    path = write(twin.replace('report = ["a", "b"]\n', ""))
    with pytest.raises(RecipeError, match="'full' and 'no-map' both make the row 'Full method'") as caught:
        load_sweep(path)
    line = path.read_text().splitlines().index('label = "Full method"', 10) + 1
    assert str(caught.value.where).endswith(f"sweep.toml:{line}")
    assert "another label" in str(caught.value.mend)
    named = SWEEP.replace('["a", "b"]', '{ a = "no-map" }')  # by its row's name
    with pytest.raises(RecipeError, match="both make the row 'no-map'"):
        load_sweep(write(named))
    grids = SWEEP.replace("[variants.other]\n", '[variants.other]\nlabel = "no-map"\n')
    assert len(load_sweep(write(grids)).children) == 10  # another paired fraction


def test_a_sweep_may_name_the_row_of_reference(write: Write) -> None:
    plain = load_sweep(write())
    assert plain.reference == ""
    named = load_sweep(write(f'reference = "Full method"\n{SWEEP}'))
    assert named.reference == named.table["reference"] == "Full method"
    assert named.children == plain.children
    path = write('extends = "sweep.toml"\nreference = "no-map"\n[variants.more]\n"training.ema" = 0.9\n', "more.toml")
    assert load_sweep(path).reference == "no-map"
    for wrong in ("3", '""'):
        path = write(f"\nreference = {wrong}\n{SWEEP}")
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
def test_a_misspelt_key_of_sweeps_is_explained(write: Write, old: str, new: str, mend: str) -> None:
    path = write(SWEEP.replace(old, new))
    with pytest.raises(RecipeError) as caught:
        load_sweep(path)
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if text.startswith(new))
    assert f"sweep.toml:{line}" in str(caught.value.where)
    assert mend in str(caught.value.mend)


@pytest.mark.parametrize(
    ("more", "mend"),
    [("[sweeps]\nx = 1\n", "'sweep'"), ("[variant.a]\nx = 1\n", "'variants'"), ("[reference]\n", "[variants.NAME]")],
)
def test_a_recipe_that_was_to_be_a_sweep_is_explained(write: Write, more: str, mend: str) -> None:
    path = write(f'extends = "base.toml"\n{more}')
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value.where).endswith("sweep.toml:2")
    assert mend in str(caught.value.mend)


def test_a_recipe_that_extends_a_sweep_inherits_it(write: Write) -> None:
    write()
    path = write(
        'extends = "../sweep.toml"\nwithout = ["variants.no-map"]\nname = "mine"\n[data]\nvoxel = 4.0\n',
        "own/mine.toml",
    )
    assert is_sweep(path)
    sweep = load_sweep(path)
    assert {c.variant for c in sweep.children} == {"full", "other"}  # other.toml is found beside the sweep
    assert {c.recipe.data.parameters["voxel"] for c in sweep.children} == {4.0}
    assert {c.recipe.evaluation.batch for c in sweep.children} == {3}


def test_what_is_only_told_changes_no_id(write: Write) -> None:
    before = [c.id for c in load_sweep(write()).children]
    told = (
        SWEEP.replace("a table", "another").replace("Full method", "All of it").replace('name = "table"', 'name = "t2"')
    )
    told += '[tracking]\nexperiment = "elsewhere"\n'
    assert [c.id for c in load_sweep(write(told)).children] == before
    explicit = SWEEP.replace("[evaluation]\n", "[evaluation]\nexamples = 6\n")  # the default, said
    assert [c.id for c in load_sweep(write(explicit)).children] == before


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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(VARIANTS)), unique=True, min_size=1), grids(), st.randoms())
def test_ids_are_stable_and_say_what_is_computed(
    write: Write, variants: list[str], grid: dict[str, list[Any]], random: Any
) -> None:
    children = load_sweep(write(text(variants, grid))).children
    size = len(variants)
    for values in grid.values():
        size *= len(values)
    assert len(children) == size == len({c.id for c in children})
    # the order of variants, keys and values says nothing
    mixed, keys = variants.copy(), list(grid)
    random.shuffle(mixed)
    random.shuffle(keys)
    shuffled = {key: random.sample(grid[key], len(grid[key])) for key in keys}
    again = load_sweep(write(text(mixed, shuffled))).children
    assert {c.id: computed(c) for c in again} == {c.id: computed(c) for c in children}
    # equal digits if and only if the recipes compute the same
    for one in children:
        for other in children:
            assert (digest(one) == digest(other)) == (computed(one) == computed(other))
    # a child of a part of the sweep is that of the whole
    part = load_sweep(write(text(variants[:1], {key: values[:1] for key, values in grid.items()}))).children
    assert {c.id for c in part} <= {c.id for c in children}


@pytest.mark.parametrize(
    ("change", "said", "mend", "line"),
    [
        (('"maps.edges.enabled"', '"maps.edges.enabeld"'), None, None, None),  # the map's own, so far
        (('"maps.edges.enabled"', '"maps.egdes.enabled"'), "no 'maps.egdes'", "edges", '"maps.egdes.enabled"'),
        (('"maps.edges.enabled" = false', '"training.emma" = 0.9'), "'training.emma'", "ema", '"training.emma"'),
        (('"maps.edges.enabled" = false', '"losses.pixelwise.weight" = "x"'), "wise.weight", None, '"losses.pix'),
        (('"maps.edges.enabled" = false', '"run.seed" = 3'), "the grid sets too", "sweep = ", '"run.seed" = 3'),
        (('"maps.edges.enabled" = false', 'report = ["c"]'), "reports 'c'", None, 'report = ["c"]'),
        (('"maps.edges.enabled" = false', 'report = { c = "C" }'), "reports 'c'", None, "report = { c"),
        (('"maps.edges.enabled" = false', 'report = { bb = "B" }'), "reports 'bb'", "'b'", "report = { bb"),
        (('"maps.edges.enabled" = false', 'report = { a = "" }'), "names of their rows", None, "report = { a"),
        (('"maps.edges.enabled" = false', "report = { a = 1 }"), "names of their rows", None, "report = { a"),
        (('"maps.edges.enabled" = false', 'report = { a = "X", b = "X" }'), "two rows 'X'", None, "report = { a"),
        (('"maps.edges.enabled" = false', 'report = "a"'), "a list of roles", None, 'report = "a"'),
        (('"maps.edges.enabled" = false', "label = 3"), "label", None, "label = 3"),
        (('"maps.edges.enabled" = false', '"maps.edges" = 3'), "maps.edges", None, '"maps.edges" = 3'),
        (('"maps.edges.enabled" = false', 'without = ["losses.pixelwize"]'), "pixelwize", "pixelwise", "without = "),
        (('"maps.edges.enabled" = false', 'sweep = { "run.seed" = 3 }'), "list of values", None, "sweep = { \"run"),
    ],
)  # fmt: skip
def test_errors_name_variant_and_line(
    write: Write, change: tuple[str, str], said: str | None, mend: str | None, line: str | None
) -> None:
    path = write(SWEEP.replace(*change))
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"run.seed" = [0, 1]', '"run.seed" = 3'), "list of values"),
        (('"run.seed" = [0, 1]', '"run.seed" = []'), "list of values"),
        (('"run.seed" = [0, 1]', '"run.seed" = [1, 1]'), "twice"),
        (('"run.seed" = [0, 1]', '"run.sed" = [0, 1]'), "run.sed"),
        (("[variants.full]", '[variants."a/b"]'), "cannot be called"),
        (('name = "table"\n', ""), None),
        (('extends = "other.toml"', 'extends = "othr.toml"'), "no such recipe"),
    ],
)
def test_a_wrong_sweep_is_explained(write: Write, change: tuple[str, str], said: str | None) -> None:
    path = write(SWEEP.replace(*change))
    if said is None:  # it has its parent's name
        assert load_sweep(path).name == "base"
        return
    with pytest.raises(RecipeError, match=re.escape(said)):
        load_sweep(path)


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
