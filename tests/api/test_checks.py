"""Impossible recipes are refused before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gantk
from base_recipe import least
from gantk import Scheduler
from gantk.api.checks import build, make_scheduler, rebuild, watched
from gantk.errors import RecipeError
from gantk.plugins import Registry
from gantk.recipe import Recipe

KEPT = ["training.keep_best={ metric = 'mse', role = 'student' }"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (["training.keep_best={ metric = 'psnr' }"], "'psnr' is monitored.*evaluation.metrics"),
        (["training.keep_best={ metric = 'mse', role = 'studnet' }"], "no translator 'studnet'"),
        (["evaluation.checkpoint=best"], "not kept.*training.keep_best"),
        (["schedule.also=[{ use = 'early_stop', metric = 'psnr', role = 'teacher' }]"], "'psnr' is monitored"),
        (["schedule.also=[{ use = 'early_stop', metric = 'mse', role = 'x' }]"], "no translator 'x'"),
        (["schedule.also=[{ use = 'early_stop', metric = 'mse' }]"], "role"),
        ([*KEPT, "data.split={ ratio = [8, 0, 2] }", "schedule.monitor=mse"], "no validation patient has t1ce"),
    ],
)
def test_what_cannot_be_watched_is_refused_before_training(recipe: Path, changes: list[str], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        gantk.dry_run(recipe, changes)


TINY = {"g": {"generator": {"use": "unet", "levels": 2, "channels": 2}}}
AVERAGE = {**TINY, "mean": {"like": "g", "average_of": "g", "decay": 0.9}}


def small(**tables: Any) -> Recipe:
    """The smallest recipe on small slices, with a tiny network."""
    data = {"crop": [16, 24], **tables.pop("data", {})}
    return least(**{"translators": TINY, "evaluation": {"metrics": ["mse"]}, **tables, "data": data})


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"schedule": {"use": "constan"}}, r"schedule\.use.*'constan'.*'constant'"),
        ({"schedule": {"use": "constant", "epochs": 0}}, "schedule.*epochs"),
        ({"schedule": {"use": "teacher_student", "teacher": "g", "student": "x"}}, "no translator 'x'; known: g, mean"),
        (
            {"schedule": {"use": "phases", "phases": [{"name": "p", "roles": ["mean"], "epochs": 1}]}},
            "the stage 'p' trains 'mean', which is an average.*train 'g'",
        ),
    ],
)
def test_a_schedule_that_cannot_be_carried_out(registry: Registry, tables: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make_scheduler(small(**{"translators": AVERAGE, **tables}), registry)


def test_schedulers_beside_one_another_are_one(registry: Registry) -> None:
    stop = {"use": "early_stop", "metric": "mse", "role": "g", "better": "lower"}
    assert isinstance(make_scheduler(small(), registry), Scheduler)
    recipe = small(schedule={"use": "constant", "epochs": 3, "also": [stop]})
    assert [stage.epochs for stage in make_scheduler(recipe, registry).stages(["g"])] == [3]
    assert watched(recipe, registry) == [("schedule.also.0.metric", "mse")]
    best = small(training={"keep_best": {"metric": "mse"}})
    assert watched(best, registry) == [("training.keep_best.metric", "mse")]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"inference": {"window": [16, 22]}}, r"'g' does not take windows of 16 × 22.*such as \[16, 24\]"),
        ({"losses": {"l": {"use": "l1", "on": "g", "stages": ["other"]}}}, "stage"),
        ({"evaluation": {"metrics": ["sism"]}}, r"evaluation\.metrics.*'sism'.*'ssim'"),
        ({"data": {"dataset": "phantm"}}, r"data\.dataset.*'phantm'.*'phantom'"),
        ({"data": {"sampler": {"use": "hrad"}}}, r"data\.sampler\.use.*'hrad'.*'hard'"),
    ],
)
def test_everything_that_a_recipe_names_is_built(registry: Registry, tables: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        build(small(**tables), registry)


def test_a_run_that_was_trained_may_watch_what_is_no_longer_measured(registry: Registry) -> None:
    recipe = small(training={"keep_best": {"metric": "psnr"}})
    with pytest.raises(RecipeError, match="'psnr' is monitored, but it is not measured after epochs"):
        build(recipe, registry)
    assembly, _ = rebuild(recipe, registry)
    assert list(assembly.translators) == ["g"]


@pytest.mark.parametrize(
    ("teacher", "maps"),
    [("other", {}), ("teacher", {"m": {"use": "disagreement", "teachers": ["teacher", "other"]}})],
)
def test_what_a_term_or_its_map_reads_must_be_trained_or_loaded(
    registry: Registry, teacher: str, maps: dict[str, Any]
) -> None:
    own = {"use": "teacher_student", "student": "student", "monitor": "mse"}
    tables = {
        "translators": {"teacher": TINY["g"], "other": TINY["g"], "student": TINY["g"]},
        "maps": maps,
        "losses": {
            "l": {"use": "l1", "on": "teacher"},
            "o": {"use": "l1", "on": "other"},
            "c": {"use": "consistency", "on": "student", "teacher": teacher, **({"map": "m"} if maps else {})},
        },
    }
    with pytest.raises(RecipeError, match=r"losses\.c: .*reads 'other', but no stage up to 'joint' trains it"):
        build(small(**tables, schedule=own), registry)
    build(small(**tables, schedule={**own, "committee": ["other"]}), registry)
    late = {"use": "phases", "phases": [{"name": "p", "roles": ["teacher", "student"], "epochs": 1}]}
    late["phases"].append({"name": "q", "roles": ["other"], "epochs": 1})  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match="no stage up to 'p' trains it"):
        build(small(**tables, schedule=late), registry)
    rebuild(small(**tables, schedule=own), registry)  # a run of an older gantk can be measured
