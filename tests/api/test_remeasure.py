"""Trained runs measured anew: the numbers of a run that was measured so at once, and nothing else changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import gantk
from gantk.cli.main import app
from gantk.errors import EvaluationError, UsageError
from gantk.progress import QuietProgress

OTHERWISE = [
    'evaluation.metrics=["ssim", "psnr"]',
    'evaluation.regions=["image", "tumour"]',
    'evaluation.baselines=["input:t1", "training_mean", "linear_fit"]',
    "evaluation.mask=foreground",
]
BACK = [
    'evaluation.metrics=["mse", "ssim"]',
    'evaluation.regions=["image"]',
    "evaluation.baselines=[]",
    "evaluation.mask=none",
]


@pytest.fixture
def run(uninterrupted: Callable[[str], Path], tmp_path: Path) -> Path:
    """A finished run of the test's own."""
    return shutil.copytree(uninterrupted("plain"), tmp_path / "runs" / "trained")


def evaluate(folder: Path, overrides: list[str], **options: Any) -> gantk.RunResult:
    return gantk.evaluate(folder, overrides, device="cpu", progress=QuietProgress(), **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_it_measures_as_if_it_had_been_so_from_the_start(run: Path, recipe: Path, tmp_path: Path) -> None:
    before = contents(run)
    result = evaluate(run, OTHERWISE)
    whole = gantk.run(recipe, OTHERWISE, device="cpu", out=tmp_path / "whole", progress=QuietProgress())
    after = contents(run)
    assert result.summary == whole.summary
    assert {"ssim", "psnr", "ssim_tumour", "psnr_tumour"} == set(result.summary["metrics"])
    assert {"teacher", "student", "input:t1", "training_mean", "linear_fit"} == set(result.summary["methods"])
    for name in ("evaluation/patients.csv", "evaluation/summary.json", "recipe.toml"):
        assert after[name] == (whole.folder / name).read_bytes()
        assert after[name] != before[name]
    kept = [name for name in before if name.startswith(("checkpoints", "panels", "metrics", "split", "environment"))]
    assert kept
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert b"PSNR" in after["report.html"]
    # and back
    evaluate(run, BACK)
    assert contents(run)["evaluation/patients.csv"] == before["evaluation/patients.csv"]
    assert gantk.run(resume=run, device="cpu", progress=QuietProgress()).state == "finished"


def test_what_fails_leaves_the_old_results(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(run)
    with pytest.raises(gantk.RecipeError, match=r"'sim'.*") as caught:
        evaluate(run, ['evaluation.metrics=["sim"]'])
    assert "ssim" in str(caught.value)

    def fail(*_: Any, **__: Any) -> None:
        raise EvaluationError("the output holds NaN")

    with monkeypatch.context() as patch:
        patch.setattr("gantk.api.assessment.evaluate", fail)
        with pytest.raises(EvaluationError):
            evaluate(run, OTHERWISE)
    assert contents(run) == before


def test_a_run_whose_evaluation_failed_is_finished_by_another(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A metric that cannot be computed must not cost the training."""

    def fail(*_: Any, **__: Any) -> None:
        raise EvaluationError("the output holds NaN")

    with monkeypatch.context() as patch:
        patch.setattr("gantk.api.assessment.evaluate", fail)
        with pytest.raises(EvaluationError):
            gantk.run(recipe, device="cpu", out=tmp_path, progress=QuietProgress())
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"
    result = evaluate(folder, ['evaluation.metrics=["ssim"]'])
    assert set(result.summary["metrics"]) == {"ssim"}
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["message"]) == ("finished", "")


def test_only_its_measuring_can_change(run: Path) -> None:
    before = contents(run)
    for override in ("run.seed=3", "evaluation=1", "name='other'"):
        with pytest.raises(UsageError, match=r"evaluation\."):
            evaluate(run, [override])
    assert contents(run) == before


def test_a_run_that_is_not_trained_to_its_end_is_refused(run: Path) -> None:
    checkpoints = sorted((run / "checkpoints").iterdir())
    shutil.rmtree(checkpoints[-1])
    for left in ("with a checkpoint", "without"):
        with pytest.raises(UsageError, match="gantk run --resume"):
            evaluate(run, OTHERWISE)
        if left == "with a checkpoint":
            shutil.rmtree(run / "checkpoints")


def test_in_a_terminal(run: Path) -> None:
    told = CliRunner().invoke(app, ["evaluate", str(run), "--device", "cpu", "--set", 'evaluation.metrics=["psnr"]'])
    assert told.exit_code == 0, told.stderr
    assert "PSNR" in told.stdout
    assert "student" in told.stdout
    told = CliRunner().invoke(app, ["evaluate", str(run), "--set", "run.seed=1"])
    assert told.exit_code == 2
    assert "Traceback" not in told.stderr


def test_the_absolute_error_in_the_body_and_outside_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = ['evaluation.metrics=["mae", "mae_unit"]', 'evaluation.regions=["image", "body", "outside", "brain"]']
    result = gantk.evaluate(run, changes, device="cpu")
    assert "mae_unit is left out: t1ce has no absolute unit" in capsys.readouterr().err
    assert set(result.summary["metrics"]) == {"mae", "mae_body", "mae_outside", "mae_brain"}
    means = {name: found["mean"] for name, found in result.summary["methods"]["student"].items()}
    assert means["mae_body"] == means["mae_brain"] != means["mae_outside"]
    assert min(means["mae_body"], means["mae_outside"]) < means["mae"] < max(means["mae_body"], means["mae_outside"])
