"""Third-party components for slices work on volumes without any change."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import gantk.testing
from gantk.testing import Bench, run_recipe

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS.parent / "docs" / "examples"

RECIPE = """
name = "volumes"
translators.g.generator = { use = "residual_unet", levels = 1, channels = 2, blocks = 1 }
losses.own = { use = "my_loss", on = "g", scale = 0.2, map = "near" }
maps.near = { use = "foreground", outside = 0.1 }
schedule = { use = "constant", epochs = 1 }
evaluation = { metrics = ["mse"], regions = ["image"] }

[data]
dataset = "phantom"
inputs = ["t1", "t2"]
target = "t1ce"
dimensions = 3
patch = [4, 16, 16]
crop = [32, 32]
"""


def module(name: str, text: str) -> types.ModuleType:
    made = sys.modules[name] = types.ModuleType(name)  # where pickle finds its classes
    exec(compile(text, name, "exec"), made.__dict__)
    return made


@pytest.fixture(scope="module")
def author() -> types.ModuleType:
    """The plugin of `tests/test_stranger.py`, written from the README alone."""
    spec = importlib.util.spec_from_file_location("_stranger", TESTS / "test_stranger.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return module("_strangers_loss", found.AUTHOR)


def conforms(component: type, **attributes: Any) -> set[int]:
    """Run all checks of a loss; returns the numbers of dimensions in which they ran."""
    cls = type("TestIt", (gantk.testing.LossConformance,), {"component": component, **attributes})
    ran: set[int] = set()

    class Seen(cls):  # type: ignore[misc, valid-type]
        def bench(self, **options: Any) -> Bench:
            made = super().bench(**options)
            ran.add(made.batch["paired"].source.ndim - 2)
            return made

    for name in dir(Seen):
        if name.startswith("test_") and callable(getattr(Seen, name)):
            try:
                getattr(Seen(), name)()
            except Exception as error:
                if type(error).__name__ != "SkipTest":
                    raise
    return ran


def test_a_stranger_s_loss_conforms_on_volumes(author: types.ModuleType) -> None:
    assert conforms(author.MyLoss) == {2, 3}


def test_a_stranger_s_loss_trains_on_volumes(author: types.ModuleType, tmp_path: Path) -> None:
    run = run_recipe(RECIPE, steps=3, session=gantk.testing.session(author), folder=tmp_path)
    assert len(run.losses) == 3
    assert set(run.losses[0]) == {"g/own"}


def test_the_loss_of_the_docs_conforms_on_volumes() -> None:
    path = EXAMPLES / "gantk-focal-frequency" / "gantk_focal_frequency" / "frequency.py"
    loss = module("_focal", path.read_text(encoding="utf-8")).FocalFrequency
    assert conforms(loss, parameters={"patches": 2}) == {2, 3}
