"""Recipes drawn from the schema, components' parameters among it: refused in words, or trained.

A recipe that everything accepts before the first step (as `gantk run --dry-run` does) must be trained: nothing may turn
out to be wrong only then.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import shutil
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from unittest import mock

import pytest
import tomli_w
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import gantk.api.runner
from gantk import ImageRef, MetricName, Role
from gantk.api.checks import build, look
from gantk.api.sources import find_sources
from gantk.errors import DataError, GantkError, MemoryShortage, NonFiniteError
from gantk.plugins import Component, Registry
from gantk.progress import QuietProgress
from gantk.recipe import load_recipe
from gantk.recipe.data import DataSettings
from gantk.recipe.evaluation import EvaluationSettings
from gantk.recipe.model import (
    LossSettings,
    MapSettings,
    RunSettings,
    TrainingSettings,
    TransformSettings,
)
from gantk.recipe.translators import OptimizerSettings, TranslatorSettings

BOUNDS = ("gt", "ge", "lt", "le")
NAMES = ["a", "b", "one", "t1", "t2", "t1ce", "missing"]
IMAGES = ["target", "source", "output", "paired.target", "a.output", "b.output", "unpaired.source", "nothing"]
#: Networks that take seconds, and components that download files.
HEAVY = {"fid", "kid", "segmentation_probe", "timm", "perceptual", "style", "content", "lpips"}
#: Parameters that may be large in a run of two steps.
CHEAP = {
    "validate_every", "panels_every", "keep_checkpoints", "checkpoint_every", "patience", "warmup_epochs", "seed",
    "decay_epochs", "rewind", "examples", "panel_slices", "validation_slices", "pool", "patches",
}  # fmt: skip
TINY = {
    "channels": 4, "hidden": 4, "heads": 2, "depth": 1, "levels": 2, "layers": 1, "blocks": 1, "reduction": 2,
    "width": 8, "patches": 4, "epochs": 1, "teacher_epochs": 1, "joint_epochs": 1, "rewind": 0, "warmup_epochs": 0,
    "transformers": [1], "join": "middle", "weights": "random", "teacher": "a", "student": "b",
}  # fmt: skip
PHASE = {"name": "one", "epochs": 1, "roles": ["a"]}
NEEDED = {
    "real": "target",
    "back": "b",
    "teachers": ["a", "b"],
    "through": "target",
    "root": "nowhere",
    "phases": [PHASE],
}
WRONG = [True, False, -1, 0, 1.5, math.nan, math.inf, -math.inf, 10**30, "", "x", [], [1, 1], {}, {"a": 1}]


def values(annotation: Any, found: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of a type: the ends of its range, and ordinary ones."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(arguments[0], (*found, *arguments[1:]))
    if annotation in (int, float):
        inner = [one for item in found for one in (*getattr(item, "metadata", ()), item)]
        bounds = {name: getattr(one, name) for one in inner for name in BOUNDS if getattr(one, name, None) is not None}
        step = 1 if annotation is int else 1e-6
        inward = {"gt": step, "ge": 0, "lt": -step, "le": 0}
        ends = [end + inward[name] for name, end in bounds.items()]
        ordinary = [0, 1, 2, 3, 4] if annotation is int else [0.0, 1e-12, 0.1, 0.5, 1.0, 3.0]
        return st.sampled_from([*[v for v in ordinary if within(v, bounds)], *ends] or [0])
    if annotation is bool:
        return st.booleans()
    if annotation is ImageRef:
        return st.sampled_from(IMAGES)
    if annotation is MetricName:
        return st.sampled_from(["ssim", "mse", "psnr"])
    if annotation in (str, Role):
        return st.sampled_from(NAMES)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*[values(a, found) for a in arguments if a is not type(None)])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*[values(a) for a in arguments]).map(list)
    if origin in (list, tuple):
        return st.lists(values(arguments[0]), min_size=1, max_size=3, unique_by=str)
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), min_size=1, max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        needed = {name: values(f.annotation, tuple(f.metadata)) for name, f in fields if f.is_required()}
        rest = {name: values(f.annotation, tuple(f.metadata)) for name, f in fields if not f.is_required()}
        return st.fixed_dictionaries(needed, optional=rest)
    if dataclasses.is_dataclass(annotation):
        return st.just(PHASE)
    return st.sampled_from(["x", 1])


def within(value: float, bounds: dict[str, float]) -> bool:
    """Whether a number is in a range."""
    holds = {"gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
    return all(holds[name](value, end) for name, end in bounds.items())


Place = tuple[dict[str, Any], str, st.SearchStrategy[Any]]


def keys(table: dict[str, Any], model: type[BaseModel]) -> Iterator[Place]:
    """Every key that a table of the recipe may have, with its values."""
    for name, field in model.model_fields.items():
        if name not in ("use", "dataset", "on", "generator", "discriminator", "compile"):  # which takes minutes
            yield table, name, values(field.annotation, tuple(field.metadata))


def selected(component: Component, draw: st.DrawFn) -> tuple[dict[str, Any], list[Place]]:
    """A table that names a component, with small parameters, and its other parameters."""
    parameters = {p.name: p for p in component.parameters}
    small = {name: value for name, value in TINY.items() if name in parameters}
    if isinstance(getattr(parameters.get("layers"), "default", None), tuple):
        small["layers"] = [parameters["layers"].default[0]]
    required = [p for p in component.parameters if p.required]
    needed = {p.name: NEEDED[p.name] if p.name in NEEDED else draw(values(p.type)) for p in required}
    table = {"use": component.name, **small, **needed}
    return table, [(table, name, values(p.type)) for name, p in parameters.items()]


@st.composite
def recipes(draw: st.DrawFn, registry: Registry, root: Path) -> dict[str, Any]:
    """A recipe of small components with up to three drawn keys, sometimes with a wrong value."""
    places: list[Place] = []

    def component(*kinds: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
        known = [c for c in registry if c.kind in kinds and c.name not in HEAVY and (not names or c.name in names)]
        table, more = selected(draw(st.sampled_from(known)), draw)
        places.extend(more)
        return table

    groups = draw(
        st.sampled_from([{"paired": 1}, {"paired": 2, "unpaired": 1}, {"source": 1, "target": 1, "paired": 1}])
    )
    data = {
        "dataset": "brats", "root": root.as_posix(), "inputs": ["t1", "t2"], "target": "t1ce", "crop": [32, 32],
        "paired_fraction": 0.5, "batch": groups, "steps_per_epoch": 1,
    }  # fmt: skip
    translator = {"generator": component("generator"), "discriminator": component("discriminator")}
    loss = component("loss") | {"on": "a", "group": draw(st.sampled_from(["paired", *groups]))}
    recipe: dict[str, Any] = {
        "name": "fuzzed",
        "run": {},
        "data": data,
        "translators": {"a": translator, "b": {"like": "a"}},
        "losses": {"l": loss, "m": {"use": "l1", "on": "a"}, "n": {"use": "l1", "on": "b"}},
        "schedule": component("scheduler"),
        "training": {"validation_slices": 2, "panel_slices": 1},
        "evaluation": {"metrics": ["ssim", "mse"], "regions": ["image"], "examples": 1},
        "tracking": {"enabled": False},
    }
    extra = draw(st.sampled_from(["", "maps", "transforms", "optimizer"]))
    if extra == "maps":
        recipe["maps"] = {"a": component("weight_map")}
        loss["map"] = "a"
        places.extend(keys(recipe["maps"]["a"], MapSettings))
    elif extra == "transforms":
        recipe["transforms"] = {"a": component("transform")}
        places.extend(keys(recipe["transforms"]["a"], TransformSettings))
    elif extra == "optimizer":
        translator["optimizer"] = component("optimizer")
        places.extend(keys(translator["optimizer"], OptimizerSettings))
    places.extend(keys(recipe["run"], RunSettings))
    places.extend(keys(data, DataSettings))
    places.extend(keys(translator, TranslatorSettings))
    places.extend(keys(loss, LossSettings))
    places.extend(keys(recipe["training"], TrainingSettings))
    places.extend(keys(recipe["evaluation"], EvaluationSettings))
    for _ in range(draw(st.integers(0, 3))):
        table, key, strategy = draw(st.sampled_from(places))
        table[key] = draw(strategy)
    if draw(st.integers(0, 4)) == 4:
        holder, key = draw(st.sampled_from(list(leaves(recipe))))
        holder[key] = draw(st.sampled_from(WRONG))
    return recipe


def leaves(table: Any) -> Iterator[tuple[Any, Any]]:
    """Every value below a table, as its container and key."""
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        yield table, key
        if isinstance(value, (dict, list)):
            yield from leaves(value)


def small(recipe: dict[str, Any]) -> bool:
    """Whether two steps take only seconds on a small machine."""
    return all(
        not isinstance(holder[key], int) or holder[key] <= (64 if key in (0, 1, "labels") else 8) or key in CHEAP
        for holder, key in leaves(recipe)
    )


@pytest.fixture(scope="module")
def plain_report() -> Iterator[None]:
    with mock.patch("gantk.report.html.write_report", lambda run: run / "report.html"):
        yield


def test_recipes(
    harms: Any, campaign: Any, registry: Registry, cohort: Path, tmp_path: Path, plain_report: None
) -> None:
    path, out = tmp_path / "recipe.toml", tmp_path / "runs"

    def attempt(table: dict[str, Any]) -> None:
        path.write_text(tomli_w.dumps(table), encoding="utf-8")
        try:
            recipe = load_recipe(path)
            if not small(table):
                harms.count("accepted, too large to be trained here")
                return
            find_sources(recipe, out)
            look(recipe, registry, *build(recipe, registry), QuietProgress())
        except GantkError as error:
            said = error
        else:
            said = None
        if said is not None:
            assert said.where or ":" in str(said), f"it does not say where: {said}"
            harms.count("refused")
            return
        try:
            gantk.api.runner.run(path, device="cpu", out=out, progress=QuietProgress())
            harms.count("trained")
        except (NonFiniteError, MemoryShortage, DataError) as error:
            harms.count(f"accepted, then {type(error).__name__}")
        finally:
            shutil.rmtree(out, ignore_errors=True)

    @seed(campaign.seed)
    @settings(
        max_examples=campaign.count(15, 600),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(table=recipes(registry, cohort))
    def run(table: dict[str, Any]) -> None:
        with harms.trying(harms.next(tomli_w.dumps(table))), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempt(table)

    run()
