"""Every key of the core: hostile names, numbers out of range, wrong types, and whatever else TOML can say."""

from __future__ import annotations

import copy
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import tomli_w
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from gantk.errors import GantkError, RecipeError
from gantk.names import check_name, path_in
from gantk.recipe import Recipe, dump_recipe, load_recipe, recipe_from_table
from gantk.recipe.variants import described, load_sweep

WHOLE = tomllib.loads("""\
name = "whole"
predict = "a"
[run]
seed = 0
[data]
dataset = "phantom"
inputs = ["t1"]
target = ["t2"]
mask = "m"
batch = { paired = 1 }
[data.intensities.t1]
unit = "absolute"
[data.extra.site]
categories = ["north", "south"]
[data.labels]
tumour = [1]
[translators.a]
generator = { use = "resnet" }
discriminator = { use = "patchgan" }
takes = ["t1"]
given = ["site"]
gives = ["t2"]
[translators.a.optimizer]
rates = { generator = 1e-4 }
groups = [{ match = "*", rate = 0, stages = ["main"] }]
[transforms.t]
use = "flip"
groups = ["paired"]
stages = ["main"]
[maps.m]
use = "edges"
stages = ["main"]
[losses.l]
use = "l1"
on = "a"
map = "m"
stages = ["main"]
[losses.n]
use = "l2"
on = "a"
[balance]
use = "uncertainty"
terms = ["l", "n"]
[schedule]
use = "constant"
[training]
keep_best = { metric = "ssim" }
[evaluation]
metrics = ["ssim"]
baselines = ["training_mean"]
targets = ["t2"]
roles = ["a"]
[parent]
run = "b"
step = 1
""")
#: Strings that are not names: sentences, values, patterns, addresses, and names that are looked up elsewhere.
FREE = {"description", "use", "dataset", "uri", "experiment", "baselines", "categories", "value", "match", "weights"}
Place = tuple[str, ...]


def places(annotation: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every place of a recipe that holds a text, and whether it is a value, an item of a list, or a table's key."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if name not in FREE:
                yield from places(field.annotation, (*place, name))
    elif origin is Annotated:
        yield from places(arguments[0], place)
    elif annotation is str:
        yield place, "value"
    elif origin is dict:
        if get_origin(arguments[0]) is not Literal:
            yield place, "key"
        yield from places(arguments[1], (*place, next(iter(at(WHOLE, place)))))
    elif origin is list:
        inside = list(places(arguments[0], place))
        yield from inside if is_table(arguments[0]) else ((where, "item") for where, _ in inside)
    elif origin is not None and origin is not Literal:  # a union, a tuple
        for argument in arguments:
            yield from places(argument, place)


def is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def at(table: Any, place: Place) -> Any:
    for part in place:
        table = table[part]
    return table


def put(place: Place, value: Any, key: bool = False) -> dict[str, Any]:
    """The whole recipe with another value, or another name for a table's only entry."""
    table = copy.deepcopy(WHOLE)
    inner = table
    for part in place if key else place[:-1]:
        inner = inner.setdefault(part, {})
        inner = inner[0] if isinstance(inner, list) else inner
    if key:
        inner[value] = inner.pop(next(iter(inner)))
    else:
        inner[place[-1]] = value
    return table


NAMES = sorted(set(places(Recipe)))


def test_the_walk_finds_the_names() -> None:
    assert {(("translators",), "key"), (("losses", "l", "on"), "value"), (("data", "inputs"), "item")} <= set(NAMES)
    assert recipe_from_table(WHOLE).name == "whole"
    assert len(NAMES) >= 25


@pytest.mark.parametrize(("place", "kind"), NAMES, ids=lambda part: ".".join(part) if isinstance(part, tuple) else part)
@pytest.mark.parametrize("name", ["", "..", "../../../evil", "a/b", "a\\b", "a\0b", "a\nb", "a" * 300, "\u202ea", "a "])
def test_no_name_of_the_schema_is_hostile(place: Place, kind: str, name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_from_table(put(place, [name] if kind == "item" else name, key=kind == "key"))
    said = str(caught.value)
    assert "a name" in said or "no batch group" in said
    assert "\n" not in said
    assert len(said) < 600


scalars = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**63, 10**30, 1e-9, 1e9, 1e300, -0.0, math.inf, -math.inf, math.nan]),
    st.sampled_from([True, False, "", "a", "t1", "paired", "none", "..", "x" * 300, "a\nb", date(2026, 1, 1)]),
    st.integers(-3, 300),
    st.floats(-10, 300),
    st.text(max_size=6),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["use", "a", "t1", ""]), inner, max_size=2)
    ),
    max_leaves=4,
)


def keys(model: Any, place: Place = ()) -> Iterator[Place]:
    """The paths of all keys of a recipe, and of an unknown key in every table."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        yield (*place, "unknown")
        for name, field in model.model_fields.items():
            yield (*place, name)
            yield from keys(field.annotation, (*place, name))
    elif get_origin(model) is Annotated:
        yield from keys(get_args(model)[0], place)
    elif get_origin(model) is dict:
        yield (*place, "new")
        yield from keys(get_args(model)[1], (*place, next(iter(at(WHOLE, place)))))
    elif get_origin(model) not in (None, Literal, list, tuple):
        for argument in get_args(model):
            yield from keys(argument, place)


KEYS = sorted({*keys(Recipe), ("translators", "a", "like"), ("extends",), ("without",), ("variants",), ("sweep",)})
quick = settings(
    max_examples=400, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@quick
@given(st.lists(st.tuples(st.sampled_from(KEYS), values), min_size=1, max_size=2))
@example([(("data", "unknown"), math.inf)])
def test_whatever_a_recipe_says_it_is_accepted_or_refused_clearly(changes: list[tuple[Place, Any]]) -> None:
    table = copy.deepcopy(WHOLE)
    for place, value in changes:
        inner: Any = table
        for part in place[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                return
        inner[place[-1]] = value
    recipe = outcome(recipe_from_table, table)
    if isinstance(recipe, GantkError):
        assert recipe.what
        assert len(str(recipe)) < 900
        return
    assert recipe_from_table(tomllib.loads(dump_recipe(recipe))) == recipe
    numbers = [n for n in leaves(recipe.model_dump(mode="json")) if isinstance(n, float)]
    assert not any(map(math.isnan, numbers))
    for name in (*recipe.translators, *recipe.losses, *recipe.maps, *recipe.transforms, *recipe.data.modalities):
        check_name(name)
        assert path_in(Path("/runs"), f"{name}-1").parent == Path("/runs")


def outcome(make: Callable[..., Any], *arguments: Any) -> Any:
    """The result, or the refusal; any other exception fails the test."""
    try:
        return make(*arguments)
    except GantkError as error:
        return error


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from leaves(inner)
    else:
        yield value


@settings(quick, max_examples=200)
@given(
    st.sampled_from([*KEYS, ("variants", "v"), ("variants", "v", "report"), ("variants", "v", "label")]),
    values,
    st.sampled_from(["variant", "grid", "own grid", "file", "override"]),
)
def test_whatever_a_sweep_says_it_is_accepted_or_refused_clearly(
    tmp_path: Path, place: Place, value: Any, how: str
) -> None:
    table = copy.deepcopy(WHOLE)
    key, overrides = ".".join(place), []
    variant: Any = {}
    if how == "variant":
        variant[key] = value
    elif how == "own grid":
        variant["sweep"] = {key: value}
    elif how == "grid":
        table["sweep"] = {key: value if isinstance(value, list) else [value]}
    elif how == "override":
        overrides = [f"{key}={tomli_w.dumps({'x': value}).partition('=')[2].strip()}"]
    elif len(place) == 1:
        table[place[0]] = value
    table.setdefault("variants", {"v": variant, "w": {"run.precision": "bf16"}})
    path = tmp_path / "fuzzed.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    found = outcome(described, path, overrides)
    if isinstance(found, GantkError):
        assert found.exit_code == 2
        assert found.what


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("data", "spacing"), 1e-9, "greater than or equal to 0.01"),
        (("data", "spacing"), 1e9, "less than or equal to 100"),
        (("data", "spacing"), math.inf, "finite number"),
        (("data", "crop"), [200000, 200000], "less than or equal to 16384. Height and width"),
        (("data", "crop"), [48], "2 values are expected. Height and width in pixels"),
        (("data", "crop"), [48, 48, 48], "2 values are expected"),
        (("data", "crop"), 48, "a list is expected"),
        (("data", "crop"), [48, True], "not true or false"),
        (("data", "batch", "paired"), 10**9, "less than or equal to 65536"),
        (("data", "batch"), {"pared": 1}, "did you mean 'paired'"),
        (("data", "batch"), {"paired": 1, "paired:2/2": 1}, None),
        (("data", "batch"), {"paired": 1, "paired:3/2": 1}, "there is no part 3 of 2"),
        (("transforms", "t", "groups"), ["paired:1/2"], "there is no batch group 'paired:1/2'"),
        (("data", "target"), [], "at least one is expected"),
        (("data", "split", "ratio"), [0, 0, 0], "must be above 0"),
        (("data", "split", "ratio"), [0, 1, 1], "the size of training, must be above 0"),
        (("data", "split", "ratio"), [1, 1], "3 values are expected"),
        (("data", "normalisation", "percentile"), 101, "less than or equal to 100"),
        (("data", "intensities", "t9"), {"unit": "auto"}, "there is no modality 't9'"),
        (("data", "paired_fraction"), 0, "no patient is paired"),
        (("run", "seed"), True, "not true or false"),
        (("run", "seed"), "3", "valid integer"),
        (("run", "seed"), 3.0, "valid integer"),
        (("run", "seed"), 2**63 - 1, None),
        (("training", "compile"), 1, "true or false is expected"),
        (("training", "ema"), 1, "less than 1"),
        (("training", "keep_checkpoints"), 0, "greater than or equal to 1"),
        (("training", "clip_gradients"), 3, None),  # an integer is a number
        (("translators", "a", "optimizer", "rates", "generator"), math.inf, "finite number"),
        (("translators", "training_mean"), {"like": "a"}, "the name of a baseline"),
        (("translators", "linear_fit"), {"like": "a"}, "the name of a baseline"),
        (("translators", "A"), {"like": "a"}, "differ only in case"),
        (("transforms", "t", "groups"), ["unpaired"], "there is no batch group 'unpaired'"),
        (("losses", "l", "weight"), -math.inf, "finite number"),
        (("losses", "l", "stages"), [], "at least one is expected"),
        (("losses", "l", "on"), "b", "there is no translator 'b'"),
        (("losses", "l", "map"), "b", "there is no map 'b'"),
        (("evaluation", "metrics"), [], "at least one is expected"),
        (("evaluation", "regions"), [], "at least one is expected"),
        (("evaluation", "regions"), ["tumor"], "did you mean 'tumour'"),
        (("evaluation", "roles"), [], "at least one is expected"),
        (("evaluation", "roles"), ["b"], "there is no translator 'b'"),
        (("evaluation", "baselines"), ["input:t9"], "there is no baseline 'input:t9'"),
        (("predict",), "b", "there is no translator 'b'"),
    ],
)  # fmt: skip
def test_numbers_and_lists_have_bounds(place: Place, value: Any, said: str | None) -> None:
    if said is None:
        assert at(recipe_from_table(put(place, value)).model_dump(), place) == value
        return
    with pytest.raises(RecipeError) as caught:
        recipe_from_table(put(place, value))
    assert said in str(caught.value)
    assert place[0] in str(caught.value)


@pytest.mark.parametrize("own", [False, True])
def test_a_sweep_is_counted_before_it_is_made(tmp_path: Path, own: bool) -> None:
    path = tmp_path / "sweep.toml"
    grid = {"run.seed": list(range(3000)), "losses.l.weight": list(range(3000))}
    path.write_text(tomli_w.dumps(WHOLE | ({"variants": {"v": {"sweep": grid}}} if own else {"sweep": grid})))
    with pytest.raises(RecipeError, match=r"sweep\.toml:\d+: the sweep describes 9,000,000 runs"):
        load_sweep(path)
    path.write_text(tomli_w.dumps(WHOLE | {"sweep": {"run.seed": list(range(20_000))}}))
    with pytest.raises(RecipeError, match="20,000 runs"):
        load_sweep(path)


def test_variants_are_called_apart(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(tomli_w.dumps(WHOLE | {"variants": {"full": {}, "Full": {}}}))
    with pytest.raises(RecipeError, match="differ only in case"):
        load_sweep(path)


def test_ids_of_children_are_names_of_folders(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    grid = {f"losses.l.a_rather_long_parameter_{n}": ["a rather long value"] for n in range(20)}
    path.write_text(tomli_w.dumps(WHOLE | {"sweep": grid}))
    (child,) = load_sweep(path).children
    assert path_in(tmp_path, child.id).name == child.id
    assert load_recipe(path).name == "whole"
