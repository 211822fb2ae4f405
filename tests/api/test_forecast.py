"""What a dry run says of slices, steps, time, memory and disk."""

from __future__ import annotations

from pathlib import Path

import gantk


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
