"""`gantk evaluate`: which runs it measures again, with which changes, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gantk
import gantk.runs.folders
from command_line import call


@pytest.fixture
def asked(runs: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls that the command makes: of the check before, and of the evaluations."""
    calls: list[Any] = []

    def measured(folder: Path) -> SimpleNamespace:
        summary = json.loads((folder / "evaluation" / "summary.json").read_text())
        return SimpleNamespace(folder=folder, report=folder / "report.html", summary=summary)

    def evaluate(folder: Path, overrides: Any, **options: Any) -> SimpleNamespace:
        calls.append(("run", folder.name, tuple(overrides), options["device"], options["tracking_uri"]))
        return measured(folder)

    def evaluate_sweep(folder: Path, overrides: Any, **options: Any) -> list[SimpleNamespace]:
        calls.append(("sweep", folder.name, tuple(overrides), options["device"], options["tracking_uri"]))
        return [measured(folder / "children" / "full-1")]

    monkeypatch.setattr(gantk.runs.folders, "recipe_to_measure", lambda run, _: calls.append(("check", run.name)))
    monkeypatch.setitem(vars(gantk), "evaluate", evaluate)
    monkeypatch.setitem(vars(gantk), "evaluate_sweep", evaluate_sweep)
    return calls


def test_every_run_is_checked_before_the_first_is_measured(asked: list[Any]) -> None:
    options = ["--set", "evaluation.batch=8", "--device", "cpu", "--tracking-uri", "http://x"]
    result = call("evaluate", "abl-other", "abl", *options)
    assert result.exit_code == 0, result.stderr
    given = (("evaluation.batch=8",), "cpu", "http://x")
    assert asked == [
        ("check", "abl-other"),
        *[("check", name) for name in ("bare-1", "full-1", "full-2")],
        ("run", "abl-other", *given),
        ("sweep", "abl", *given),
    ]
    assert "abl-other" in result.stdout
    assert "full-1" in result.stdout
    assert "SSIM" in result.stdout


def test_as_json(asked: list[Any], runs: Path) -> None:
    (found,) = json.loads(call("evaluate", "abl-other", "--json").stdout)
    assert found["folder"] == str(runs / "abl-other")
    assert set(found["summary"]["methods"]) == {"teacher", "student", "training_mean"}


def test_a_run_that_is_not_there_stops_all(asked: list[Any]) -> None:
    result = call("evaluate", "abl-other", "nothing")
    assert result.exit_code == 2
    assert "there is no run 'nothing'" in result.stderr
    assert asked == []
