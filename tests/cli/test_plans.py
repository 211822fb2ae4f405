"""The results of a dry run, as a tree for one run and a table for several."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from gantk.cli.plans import show_plans

PLAN: dict[str, Any] = {
    "recipe": "tiny",
    "translators": {
        "g": {"generator": {"use": "unet", "parameters": 1234567}, "discriminator": {"parameters": 3}},
    },
    "patients": {"paired": 8, "unpaired": 2, "target": 0, "validation": 1, "test": 3},
    "stages": [
        {"name": "training", "epochs": 40, "steps_per_epoch": None, "terms": {"l1": {"weight": 100}}},
        {"name": "joint", "epochs": 2, "steps_per_epoch": 7, "terms": {}},
    ],
    "forecast": {
        "stages": {"training": {"seconds per step": 0.5}, "joint": {"seconds per step": 2}},
        "training": "3 h, more",
    },
}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_a_run_is_a_tree(capsys: pytest.CaptureFixture[str]) -> None:
    show_plans(copy.deepcopy(PLAN), as_json=False)
    shown = capsys.readouterr().out
    assert shown.startswith("recipe tiny: built, nothing trained\n")
    assert "parameters 1,234,567" in shown
    assert "steps_per_epoch: known once the images are read" in shown
    assert shown.count("tiny") == 1


def test_runs_of_a_sweep_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    bound = {"stages": {"training": {"seconds per step": 1}}, "done by": "never", "training at most": "5 h, or so"}
    open_ = {"stages": {}}
    runs = {"a": PLAN, "b": PLAN | {"forecast": bound}, "c": PLAN | {"forecast": open_}}
    runs["a"] = PLAN | {"forecast": PLAN["forecast"] | {"done by": "noon"}}
    show_plans({"recipe": "many", "runs": runs, "forecast": {"one after the other": "9 h"}}, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    a, b, c = (next(line for line in lines if line[:1] == [name]) for name in "abc")
    assert a == ["a", "1,234,570", "42", "8", "2", "0", "1", "3", "0.5", "+", "2", "3", "h"]
    assert b[-4:] == ["1", "≤", "5", "h"]
    assert c[-1] == "?"
    assert ["3", "runs,", "one", "after", "the", "other:"] in lines
    assert ["one", "after", "the", "other:", "9", "h"] in lines


def test_as_json_it_is_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    show_plans(copy.deepcopy(PLAN), as_json=True)
    assert json.loads(capsys.readouterr().out) == PLAN
