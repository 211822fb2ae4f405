"""A new user's first plugin: from an empty folder to an own loss in a recipe, with three commands.

gantk and the plugin are wheels, installed in an environment made for this test, which sees the libraries that gantk
depends on and nothing else of the environment that the tests run in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stranger import Fresh

ROOT = Path(__file__).parents[1]

# What the author writes into my_loss.py, from the README alone.
AUTHOR = '''\
import gantk

class MyLoss:
    """Mean of m·log cosh((y − G(x))/s) with the term's weight map m.

    Args:
        scale: s.
    """
    needs = gantk.Needs(target=True)
    def __init__(self, scale: float = 0.1) -> None:
        self.scale = scale
    def __call__(self, view: gantk.View):
        return view.weighted_mean(((view.target - view.output) / self.scale).cosh().log())
@gantk.hookimpl
def register_losses():
    return {"my_loss": MyLoss}
'''


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    made = Fresh(tmp_path_factory.mktemp("stranger"))
    made.install(ROOT)  # builds a wheel and installs that
    return made


def test_three_commands_and_fifteen_lines(fresh: Fresh) -> None:
    written = [line for line in AUTHOR.splitlines() if line.strip()]
    assert len(written) <= 15

    fresh.call("gantk", "new", "plugin", "my-loss", "--kind", "loss")
    (fresh.here / "my-loss" / "my_loss.py").write_text(AUTHOR, encoding="utf-8")
    fresh.install("./my-loss")
    changes = ["losses.pixelwise.scale=0.2", "tracking.enabled=false", "data.subjects=6", "schedule.epochs=2"]
    small = [part for change in changes for part in ("--set", change)]
    result = json.loads(fresh.call("gantk", "run", "my-loss/recipe.toml", *small, "--json"))

    assert result["state"] == "finished"
    folder = Path(result["folder"])
    assert folder.parent == fresh.here / "runs"
    assert "scale = 0.2" in (folder / "recipe.toml").read_text(encoding="utf-8")
    losses = [json.loads(line)["metrics"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    values = [m["train/generator/pixelwise"] for m in losses if "train/generator/pixelwise" in m]
    assert values[-1] < values[0]  # it learns
    (checkpoint, *_) = folder.glob("checkpoints/*/checkpoint.json")
    plugins = {p["name"]: (p["distribution"], p["version"]) for p in json.loads(checkpoint.read_text())["plugins"]}
    assert plugins["my_loss"] == ("my-loss", "0.1.0")


def test_all_of_it_is_from_wheels(fresh: Fresh) -> None:
    names = ("gantk", "gantk_baselines", "my_loss")
    code = f"import importlib.util as u; print(*(u.find_spec(name).origin for name in {names}))"
    for file in fresh.call("python", "-c", code).split():
        assert fresh.packages in Path(file).parents


def test_recipes_and_templates_are_in_the_wheel(fresh: Fresh) -> None:
    fresh.call("gantk", "new", "recipe", "mine", "--like", "brats2020/ds3_5pct")
    assert 'name = "mine"' in (fresh.here / "mine.toml").read_text(encoding="utf-8")
    assert sorted(p.name for p in (fresh.packages / "gantk" / "scaffold" / "recipes").glob("*.toml")) == sorted(
        p.name for p in (ROOT / "recipes").glob("*.toml")
    )
