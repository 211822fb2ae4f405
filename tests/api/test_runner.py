"""A run through the API: what it leaves behind, its rates, its stages."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import gantk
from gantk.api.display import Display
from gantk.errors import Interrupted
from gantk.evaluation.examples import Examples
from gantk.files import read_json
from gantk.plugins import Session, load_plugins
from gantk.progress import QuietProgress
from gantk.training.checkpoint import newest_checkpoint


class Watcher:
    """A plugin that records the hooks of a run."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @gantk.hookimpl
    def before_run(self, folder: Path) -> None:
        self.heard.append(("run", folder.is_dir()))

    @gantk.hookimpl
    def before_stage(self, stage: str) -> None:
        self.heard.append(stage)

    @gantk.hookimpl
    def after_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        self.heard.append((epoch, "teacher/ssim" in metrics))

    @gantk.hookimpl
    def after_run(self, summary: dict[str, Any]) -> None:
        self.heard.append(set(summary["methods"]))

    @gantk.hookimpl
    def on_run_error(self, error: BaseException) -> None:
        self.heard.append(type(error))


@pytest.fixture(scope="module")
def watcher() -> Iterator[Watcher]:
    """Registered for all runs of this module."""
    watcher = Watcher()

    def load() -> Session:
        session = load_plugins()
        session.manager.register(watcher)
        return session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gantk.api.runner.load_plugins", load)
        yield watcher


@pytest.fixture(scope="module")
def result(recipe: Path, tmp_path_factory: pytest.TempPathFactory, watcher: Watcher) -> gantk.RunResult:
    out = tmp_path_factory.mktemp("runs")
    return gantk.run(recipe, ["schedule.patience=9"], device="cpu", out=out, progress=QuietProgress())


def test_plugins_are_told_of_a_runs_life(result: gantk.RunResult, watcher: Watcher) -> None:
    epochs = [(epoch, True) for epoch in range(5)]
    methods = {"teacher", "student"}
    assert watcher.heard == [("run", True), "teacher", *epochs[:3], "joint", *epochs[:2], methods]


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_run_folder_is_complete(result: gantk.RunResult) -> None:
    folder = result.folder
    assert result.state == "finished"
    assert result.report.is_file()
    for name in ("recipe.toml", "split.csv", "environment.json", "metrics.jsonl"):
        assert (folder / name).stat().st_size
    for name in ("patients.csv", "summary.json", "examples.npz", "weights.json"):
        assert (folder / "evaluation" / name).stat().st_size
    assert result.summary == read_json(folder / "evaluation" / "summary.json")
    assert set(result.summary["methods"]) == {"teacher", "student"}
    known = {patient: set(found) for patient, found in result.summary["images"].items()}
    assert known
    assert all(found == {"t1ce", "tumour"} for found in known.values())
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["step"] == 15
    assert status["seconds"] > 0
    assert json.loads((folder / "environment.json").read_text())["device"] == "cpu"
    first, *later = sorted((folder / "panels" / "validation").glob("step-*.png"))
    assert first.name == "step-00000000.png"  # before training; MLflow opens there
    assert later
    assert first.read_bytes() != later[0].read_bytes()


def test_a_checkpoint_explains_itself(result: gantk.RunResult) -> None:
    checkpoint = newest_checkpoint(result.folder / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.facts["recipe"] == (result.folder / "recipe.toml").read_text()
    assert tomllib.loads(checkpoint.facts["recipe"])["schedule"]["patience"] == 9
    facts = checkpoint.facts
    assert {plugin["name"] for plugin in facts["plugins"]} >= {"gantk_baselines", "gantk_ds3net"}
    assert facts["split"]["hash"] == json.loads((result.folder / "status.json").read_text())["split"]
    assert facts["meaning"]["intensities"]["t1ce"]["brightness"] > 0


def test_the_resolved_recipe_gives_the_same_run(result: gantk.RunResult, tmp_path: Path) -> None:
    again = gantk.run(result.folder / "recipe.toml", device="cpu", out=tmp_path, progress=QuietProgress())
    weights = [
        max((folder / "checkpoints").iterdir()) / "model.safetensors" for folder in (again.folder, result.folder)
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert again.folder != result.folder


def test_rates_follow_the_schedule(result: gantk.RunResult) -> None:
    """Base 1e-3; each stage decays linearly to 0; the teacher's rate in the second stage is a fifth."""
    steps = [r for r in records(result.folder) if any(name.startswith("rate/") for name in r["metrics"])]
    assert [r["step"] for r in steps] == list(range(15))
    for record in steps:
        rates = {name: rate for name, rate in record["metrics"].items() if name.startswith("rate/")}
        epoch = record["epoch"]
        decay = 1 - epoch / (3 if record["stage"] == "teacher" else 2)
        wanted = {"teacher": 1e-3 * decay * (1 if record["stage"] == "teacher" else 0.2)}
        if record["stage"] == "joint":
            wanted["student"] = 1e-3 * decay
        assert {name.split("/")[1] for name in rates} == set(wanted)
        for name, rate in rates.items():
            assert rate == pytest.approx(wanted[name.split("/")[1]], rel=1e-12)
        assert f"rate/{record['stage'].replace('joint', 'student')}/generator" in rates


def test_validation_comes_after_each_epoch(result: gantk.RunResult) -> None:
    validated = [r for r in records(result.folder) if "validation/teacher/mse" in r["metrics"]]
    assert [(r["stage"], r["epoch"], r["step"]) for r in validated] == [
        ("teacher", 0, 2),
        ("teacher", 1, 5),
        ("teacher", 2, 8),
        ("joint", 0, 11),
        ("joint", 1, 14),
    ]
    assert "validation/student/ssim" in validated[-1]["metrics"]
    assert "validation/student/ssim" not in validated[0]["metrics"]


def test_an_interrupt_outside_training_is_kept_too(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watcher: Watcher
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gantk.api.course.assess", interrupt)
        with pytest.raises(Interrupted, match="gantk run --resume"):
            gantk.run(recipe, device="cpu", out=tmp_path, progress=QuietProgress())
    assert watcher.heard[-1] is KeyboardInterrupt
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "status.json").read_text())["state"] == "interrupted"
    result = gantk.run(resume=folder, device="cpu", progress=QuietProgress())
    assert result.state == "finished"


def test_a_dry_run_reads_no_image_and_writes_nothing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("gantk.data.scans.read_volumes", None)
    built = gantk.dry_run(recipe, device="cpu")
    assert list(tmp_path.iterdir()) == []
    counts = {role: built["patients"][role] for role in ("paired", "unpaired", "validation", "test")}
    assert sum(counts.values()) == built["patients"]["listed"] == built["patients"]["images"]["t1ce"]
    assert built["stages"][1]["patients"] == {"paired": counts["paired"], "unpaired": counts["unpaired"]}
    assert [stage["name"] for stage in built["stages"]] == ["teacher", "joint"]
    assert built["stages"][0]["groups"] == {"paired": 1}
    assert built["stages"][1]["groups"] == {"paired": 1, "unpaired": 2}
    assert built["stages"][0]["terms"]["pixelwise"]["map"] is None  # the map begins with the second stage
    assert built["stages"][1]["terms"]["pixelwise"]["map"] == "difficulty"
    assert built["translators"]["teacher"] == built["translators"]["student"] | {
        "heads": built["translators"]["teacher"]["heads"]
    }
    assert built["translators"]["teacher"]["generator"]["parameters"] > 0


class Keeps(Display):
    """Keeps the plans that it receives."""

    def __init__(self) -> None:
        super().__init__(QuietProgress())
        self.plans: list[Mapping[str, Any]] = []

    def begin(self, plan: Mapping[str, Any]) -> None:
        self.plans.append(plan)


def test_the_display_receives_what_a_step_of_each_stage_costs(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    display = Keeps()
    with monkeypatch.context() as patch:
        patch.setattr("gantk.api.course.Engine.run", interrupt)
        with pytest.raises(Interrupted):
            gantk.run(recipe, device="cpu", out=tmp_path / "runs", display=display)
    (folder,) = (tmp_path / "runs").iterdir()
    gantk.run(resume=folder, device="cpu", display=display)
    longer = ["schedule.joint_epochs=3"]
    gantk.run(resume=folder, device="cpu", out=tmp_path / "longer", display=display, extend=longer)
    first, second, last = (plan["stages"] for plan in display.plans)
    for stages in (first, second):
        assert [stage["name"] for stage in stages] == ["teacher", "joint"]
        assert all(stage["seconds per step"] > 0 for stage in stages)
    assert {stage["steps per epoch"] for stage in (*first, *second, *last)} == {3}
    assert [stage["seconds per step"] for stage in last] == [None, None]  # only one stage is left


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_without_its_student_the_teacher_is_the_same_bit_for_bit(recipe: Path, tmp_path: Path, norm: str) -> None:
    """Nothing flows from the student to the teacher: the paired-only run is the semi-supervised run's teacher."""
    alone = tmp_path / "alone.toml"
    alone.write_text(
        f'extends = "{recipe}"\npredict = "teacher"\n'
        'without = ["translators.student", "schedule.student", "losses.distillation", '
        '"losses.student_adversarial", "data.batch.unpaired"]\n'
    )
    weights = []
    for path in (recipe, alone):
        changes = [
            "translators.teacher.generator.dropout=0.0",
            f"translators.teacher.generator.norm={norm}",
            "transforms.turn.use=affine",  # with several transforms, a group's draws do not depend on other groups
            "transforms.jitter.use=input_jitter",
        ]
        run = gantk.run(path, changes, device="cpu", out=tmp_path, progress=QuietProgress())
        weights.append(load_file(max((run.folder / "checkpoints").iterdir()) / "model.safetensors"))
    both, teacher = weights
    assert set(teacher) == {name for name in both if name.startswith("teacher.")}
    assert all(torch.equal(both[name], tensor) for name, tensor in teacher.items())


def test_masked_outputs_are_background_where_every_input_is(recipe: Path, tmp_path: Path) -> None:
    overrides = ['evaluation.mask="foreground"', "schedule.teacher_epochs=1", "schedule.joint_epochs=1"]
    run = gantk.run(recipe, overrides, device="cpu", out=tmp_path, progress=QuietProgress())
    shown = Examples.load(run.folder / "evaluation" / "examples.npz")
    background = np.all([image == -1 for image in shown.inputs.values()], axis=0)
    assert background.any()
    for output in shown.outputs.values():
        assert (output[background] == -1).all()
        assert (output[~background] != -1).any()
