"""`gantk run` and `gantk list` against the real API, without training."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import gantk
from command_line import RECIPE, call
from gantk.cli.main import app
from gantk.evaluation.results import Column, Evaluation, Row

ROWS = [Row("a", "student", 1, {"ssim": 0.8}), Row("b", "student", 1, {"ssim": 1.0})]
EVALUATION = Evaluation("0123456789ab", "ab", {"ssim": Column("SSIM", "image", True)}, ROWS)
SUMMARY = EVALUATION.to_dict()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_dry_run_builds_and_writes_nothing(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("run", recipe, "--dry-run", "--json", "--set", "losses.pixelwise.weight=7")
    assert result.exit_code == 0, result.stderr
    built = json.loads(result.stdout)
    assert built["recipe"] == "tiny"
    assert built["translators"]["g"]["generator"]["parameters"] > 0
    assert built["stages"][0]["terms"]["pixelwise"]["weight"] == 7
    assert "nothing trained" in call("run", recipe, "--dry-run").stdout
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_a_misspelt_recipe_exits_2_and_names_the_nearest(recipe: Path, tmp_path: Path) -> None:
    for key, near in (("losses.pixelwise.wieght=1", "weight"), ('losses.pixelwise.use="l3"', "l1")):
        result = call("run", recipe, "--dry-run", "--set", key)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert near in result.stderr
        assert "Traceback" not in result.stderr


def test_run_hands_its_options_over_and_tells_how_to_go_on(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    folder = tmp_path / "elsewhere" / "tiny-1"
    EVALUATION.write(folder / "evaluation")

    def run(path: Path | None, overrides: list[str], **options: Any) -> Any:
        seen.update(options, path=path, overrides=overrides)
        options["display"].begin({"recipe": "tiny"})
        return SimpleNamespace(folder=folder, state="finished", summary=SUMMARY, report=folder / "report.html")

    monkeypatch.setitem(vars(gantk), "run", run)
    options = [
        "--device",
        "cpu",
        "--out",
        tmp_path / "elsewhere",
        "--tracking-uri",
        "http://x",
        "--set",
        "run.seed=1",
    ]
    result = call("run", recipe, *options)
    assert result.exit_code == 0, result.stderr
    assert seen["path"] == recipe
    assert (seen["overrides"], seen["device"], seen["tracking_uri"]) == (("run.seed=1",), "cpu", "http://x")
    assert seen["out"] == tmp_path / "elsewhere"
    assert f"gantk predict {folder} INPUT -o OUTPUT" in result.stdout
    assert "0.900 ± 0.141" in result.stdout
    assert json.loads(call("run", "--resume", "x", "--json").stdout)["summary"] == json.loads(json.dumps(SUMMARY))
    assert (seen["path"], seen["resume"]) == (None, "x")


def test_a_sweep_has_one_process_for_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "sweep.toml"
    recipe.write_text(f'{RECIPE}[sweep]\n"run.seed" = [0, 1]\n')
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = CliRunner().invoke(app, ["run", str(recipe), "--processes", "2"])
    assert result.exit_code == 2
    assert "the runs of a sweep have one process each" in result.stderr
