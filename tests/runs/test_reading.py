"""Side files of a run: what they hold, or why they cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantk.runs.lines import written
from gantk.runs.reading import Bad, absent, last_line, read, read_object, read_typed

RECORD = {"seq": 0, "step": 0, "epoch": 0, "stage": "a", "time": 1.0, "metrics": {}}


def reason(function, path: Path) -> str:
    with pytest.raises(Bad) as caught:
        function(path)
    return str(caught.value)


def test_a_file_is_there_although_its_link_leads_nowhere(tmp_path: Path) -> None:
    assert absent(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    assert not absent(tmp_path / "link")
    assert reason(read, tmp_path / "link") == "is missing"


def test_what_is_no_text_or_no_object_is_said(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(b"\xff\xfe")
    assert reason(read, path) == "is no text"
    assert reason(read, tmp_path).startswith("cannot be read")
    for text, said in (('{"a": 1', "truncated"), ("[" * 100_000, "truncated"), ("[1]", "does not have the content")):
        path.write_text(text)
        assert said in reason(read_object, path)


@pytest.mark.parametrize(
    ("content", "key"), [({"epoch": "1"}, "epoch"), ({"step": True}, "step"), ({"state": None}, "state")]
)
def test_values_have_the_types_that_are_written(content: dict[str, object], key: str, tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text(json.dumps(content))
    assert key in reason(read_typed, path)
    path.write_text(json.dumps({"state": "finished", "epoch": 3, "seconds": 1, "other": None}))
    assert read_typed(path)["epoch"] == 3


def test_the_last_line_is_the_last_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert reason(last_line, path) == "is missing"
    path.write_text("")
    assert "empty" in reason(last_line, path)
    lines = [written({**RECORD, "seq": i, "step": i, "metrics": {"a": 0.5}}) for i in range(2000)]
    path.write_bytes(b"".join(lines) + lines[0][:9])  # longer than what is read of it
    assert last_line(path)["step"] == 1999
    path.write_bytes(b"".join(lines)[:-5] + b"\n")
    assert reason(last_line, path) == "is damaged at its end"
