"""The state of a sweep's child, as its folder tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantk.runs.lines import written
from gantk.sweeps.state import ChildState, SweepResult


@pytest.mark.parametrize(
    ("said", "alive", "state"),
    [
        (None, False, "waiting"),
        (None, True, "running"),  # it has not written anything yet
        ("running", True, "running"),
        ("running", False, "interrupted"),  # it died without a word
        ("failed", False, "failed"),
        ("failed", True, "running"),  # it was started again
        ("finished", True, "finished"),
    ],
)
def test_a_state_is_read_beside_whether_a_process_works_on_it(
    said: str | None, alive: bool, state: str, tmp_path: Path
) -> None:
    if said is not None:
        (tmp_path / "status.json").write_text(json.dumps({"state": said, "step": 7, "stage": "joint"}))
    child = ChildState("a", "A", tmp_path)
    child.look(alive)
    assert (child.state, child.done, child.stage) == ((state, 0, "") if said is None else (state, 7, "joint"))


def test_a_finished_child_is_told_with_its_summary(tmp_path: Path) -> None:
    (tmp_path / "a" / "evaluation").mkdir(parents=True)
    (tmp_path / "a" / "evaluation" / "summary.json").write_text('{"methods": {}}')
    children = tuple(ChildState(name, name, tmp_path / name) for name in "ab")
    told = json.loads(json.dumps(SweepResult(tmp_path, "finished", children).to_dict()))
    assert told["children"][0]["summary"] == {"methods": {}}
    assert not told["children"][1]["summary"]
    assert told["children"][0]["folder"] == str(tmp_path / "a")


def test_a_dead_childs_running_is_no_running(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"state": "running", "step": 3, "stage": "joint"}))
    child = ChildState("a", "A", tmp_path)
    child.look(alive=True)
    assert (child.state, child.done, child.stage) == ("running", 3, "joint")
    child.look(alive=False)
    assert child.state == "interrupted"
    whole = written({"seq": 0, "step": 6, "epoch": 0, "stage": "joint", "time": 0, "metrics": {}})
    (tmp_path / "metrics.jsonl").write_bytes(whole + b'{"seq": 1, "st')
    child.look(alive=False)
    assert child.done == 7
