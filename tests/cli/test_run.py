"""`gantk run` and `gantk list` against the real API, without training."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import gantk
from gantk.cli.main import app
from gantk.cli.run import results_table

RECIPE = """
name = "tiny"
[data]
dataset = "phantom"
inputs = ["t1", "t2"]
target = "t1ce"
crop = [32, 32]
batch = { paired = 2 }
[translators.g]
generator = { use = "unet", levels = 3, channels = 4 }
[translators.g.optimizer]
rates = { generator = 1e-3 }
[losses.pixelwise]
use = "l1"
on = "g"
[schedule]
use = "constant"
epochs = 1
"""
SUMMARY = {
    "split": "0123456789ab",
    "settings": "ab",
    "metrics": {
        "ssim": {"title": "SSIM", "region": "image", "higher_is_better": True},
        "mse_tumour": {"title": "MSE", "region": "tumour", "higher_is_better": False},
    },
    "methods": {
        "student": {
            "ssim": {"mean": 0.9, "std": 0.1, "n": 2},
            "mse_tumour": {"mean": None, "std": None, "n": 0},
        },
        "input:t1": {
            "ssim": {"mean": 0.8, "std": None, "n": 1},
            "mse_tumour": {"mean": 0.5, "std": 0.1, "n": 2},
        },
    },
}


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


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


def test_validate_real_recipes(recipe: Path) -> None:
    assert call("validate", recipe).exit_code == 0
    shown = call("validate", recipe, "--resolved")
    assert shown.exit_code == 0
    assert 'name = "tiny"' in shown.stdout


def test_run_hands_its_options_over_and_tells_how_to_go_on(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    folder = tmp_path / "elsewhere" / "tiny-1"

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
    assert (seen["overrides"], seen["device"], seen["tracking_uri"]) == (["run.seed=1"], "cpu", "http://x")
    assert seen["out"] == tmp_path / "elsewhere"
    assert f"gantk predict {folder} INPUT -o OUTPUT" in result.stdout
    assert "0.900 ± 0.100" in result.stdout
    assert json.loads(call("run", "--resume", "x", "--json").stdout)["summary"] == SUMMARY
    assert (seen["path"], seen["resume"]) == (None, "x")


def test_results_mark_the_best_and_leave_gaps() -> None:
    methods = SUMMARY["methods"] | {
        "teacher": SUMMARY["methods"]["student"] | {"ssim": {"mean": 0.7, "std": None, "n": 1}}
    }
    methods["input:t1"] = methods["input:t1"] | {"ssim": {"mean": 0.95, "std": None, "n": 1}}
    table = results_table(SUMMARY | {"methods": methods})
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    assert cells == [
        ["SSIM ↑", "MSE tumour ↓"],
        ["0.900 ± 0.100", "–"],
        ["0.950", "0.500 ± 0.100"],
        ["0.700", "–"],
    ]
    styles = [[cell.style for cell in column.cells] for column in table.columns[1:]]
    assert styles == [["bold", ""], ["", ""], ["", ""]]  # a baseline is never the best


def test_results_say_what_was_measured() -> None:
    assert results_table(SUMMARY).title == "Test patients, mean ± standard deviation"
    table = results_table(SUMMARY | {"subjects": {"noun": "image", "trained_on": True}})
    assert table.title == "Training images, mean ± standard deviation"
    assert table.caption == "Measured on the training images: nothing was held out."


@pytest.mark.parametrize("kind", ["loss", "losses"])
def test_list_gives_components_with_their_parameters(kind: str) -> None:
    components = {c["name"]: c for c in json.loads(call("list", kind, "l*", "--json").stdout)}
    assert {"l1", "l2", "lsgan"} <= components.keys()
    assert components["l1"]["plugin"] == "gantk_baselines"
    assert all(name.startswith("l") for name in components)
    assert "l1" in call("list", kind).stdout


def test_list_of_nothing_and_of_an_unknown_kind() -> None:
    assert json.loads(call("list", "losses", "zzz", "--json").stdout) == []
    wrong = call("list", "loses")
    assert wrong.exit_code == 2
    assert "losses" in wrong.stderr
    assert "generators" in json.loads(call("list", "--json").stdout)


def test_plugins_are_listed_with_their_state() -> None:
    plugins = {p["name"]: p for p in json.loads(call("plugins", "--json").stdout)}
    assert plugins["gantk_baselines"]["state"] == "loaded"
    assert plugins["gantk_baselines"]["components"] > 0
    assert "gantk_baselines" in call("plugins").stdout
