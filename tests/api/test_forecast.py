"""The forecast of a dry run: slices, steps, time, memory and disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gantk
from gantk.progress import duration
from gantk.training.forecast import Cost


def test_a_dry_run_counts_and_measures(recipe: Path) -> None:
    plan = gantk.dry_run(recipe, ["data.slices=all", "schedule.teacher_epochs=2"], device="cpu", measure=True)
    told, patients = plan["forecast"], {s["name"]: s["patients"] for s in plan["stages"]}
    for stage, counted in patients.items():
        assert told["stages"][stage]["seconds per step"] > 0
        assert told["stages"][stage]["slices at most"] == {
            group: 8 * count for group, count in counted.items()
        }  # 8 a volume
        assert told["stages"][stage]["steps per epoch"] == 3
    assert told["slice cache at most"] == f"{10 * 3 * 8 * 32 * 32 * 2 / 1e6:,.1f} MB"
    assert "without validation" in told["training"]
    assert "forecast" not in gantk.dry_run(recipe, device="cpu")


def test_steps_follow_from_the_slices(recipe: Path) -> None:
    text = recipe.read_text().replace("steps_per_epoch = 3\n", "")
    other = recipe.with_name("free.toml")
    other.write_text(text)
    told = gantk.dry_run(other, device="cpu", measure=True)["forecast"]
    stage = told["stages"]["teacher"]
    assert stage["steps per epoch at most"] == stage["slices at most"]["paired"]  # a batch has one
    assert "training at most" in told


def test_a_cohort_that_is_not_made_yet_has_no_slices() -> None:
    changes = ["data.subjects=12", "data.cohort_seed=917", "data.batch={paired=1}", "data.crop=[32, 32]"]
    told = gantk.dry_run("recipes/unet_l1.toml", changes, device="cpu", measure=True)["forecast"]
    assert "slice cache at most" not in told
    assert told["memory"]
    assert told["stages"]["training"]["seconds per step"] > 0


def test_a_sweep_is_measured_once_for_folds_and_seeds(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def cost(recipe: gantk.Recipe, assembly: object, stage: Any, device: object) -> Cost:
        measured.append((recipe.translators["student"].generator.parameters["channels"], stage.name))
        return Cost(seconds=2.0, memory=10**9)

    monkeypatch.setattr("gantk.api.forecast.step_cost", cost)
    sweep = recipe.with_name("sweep.toml")
    sweep.write_text(
        f'extends = "{recipe.name}"\nname = "several"\n'
        '[sweep]\n"run.seed" = [0, 1, 2]\n"translators.student.generator.channels" = [4, 8]\n'
    )
    built = gantk.dry_run(sweep, device="cpu", measure=True)
    assert sorted(measured) == sorted({(channels, stage) for channels in (4, 8) for _, stage in measured})
    assert len(measured) == 2 * len({stage for _, stage in measured})
    plans = built["runs"].values()
    assert len(plans) == 6
    steps = sum(
        stage["epochs"] * plan["forecast"]["stages"][stage["name"]]["steps per epoch"]
        for plan in plans
        for stage in plan["stages"]
    )
    assert built["forecast"]["training"].startswith(duration(2.0 * steps))
    assert built["forecast"]["memory of a run"] == "1.0 GB"
    cache = next(iter(plans))["forecast"]["slice cache at most"]
    assert built["forecast"]["slice cache at most"] == cache  # all read the same slices
