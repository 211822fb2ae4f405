"""The state of a sweep's child, as its folder tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantk.sweeps.state import ChildState, SweepResult


@pytest.mark.parametrize(
    ("written", "alive", "state"),
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
    written: str | None, alive: bool, state: str, tmp_path: Path
) -> None:
    if written is not None:
        (tmp_path / "status.json").write_text(json.dumps({"state": written, "step": 7, "stage": "joint"}))
    child = ChildState("a", "A", tmp_path)
    child.look(alive)
    assert (child.state, child.done, child.stage) == ((state, 0, "") if written is None else (state, 7, "joint"))


def test_a_finished_child_is_told_with_its_summary(tmp_path: Path) -> None:
    (tmp_path / "a" / "evaluation").mkdir(parents=True)
    (tmp_path / "a" / "evaluation" / "summary.json").write_text('{"methods": {}}')
    children = tuple(ChildState(name, name, tmp_path / name) for name in "ab")
    told = json.loads(json.dumps(SweepResult(tmp_path, "finished", children).to_dict()))
    assert told["children"][0]["summary"] == {"methods": {}}
    assert not told["children"][1]["summary"]
    assert told["children"][0]["folder"] == str(tmp_path / "a")
