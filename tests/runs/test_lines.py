"""Lines of a journal: written and read; damage affects only one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantk.runs.lines import read_lines, record_of, written

RECORD = {"seq": 3, "step": 7, "epoch": 1, "stage": "é", "time": 1.5, "metrics": {"train/g/l1": 0.25}}


def test_there_and_back() -> None:
    line = written(RECORD)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert record_of(line) == RECORD


@given(st.integers(min_value=0), st.integers(0, 7))
def test_no_flipped_bit_is_read(place: int, bit: int) -> None:
    line = bytearray(written(RECORD))
    line[place % (len(line) - 1)] ^= 1 << bit  # all but the newline
    with pytest.raises(ValueError):  # noqa: PT011 - by what it is seen depends on the bit
        record_of(bytes(line))


@pytest.mark.parametrize(
    "record",
    [
        {**RECORD, "step": "7"},
        {**RECORD, "step": True},
        {**RECORD, "metrics": []},
        {**RECORD, "more": 1},
        {key: value for key, value in RECORD.items() if key != "time"},
    ],
)
def test_what_is_no_record_is_refused_though_its_checksum_is_right(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="record"):
        record_of(written(record))


def test_a_damaged_line_leaves_the_others_and_a_torn_one_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    good = written(RECORD)
    path.write_bytes(good + good.replace(b"0.25", b"0.26") + good + good[:20])
    lines = list(read_lines(path))
    assert [(line.number, line.record) for line in lines] == [(1, RECORD), (2, None), (3, RECORD)]
    assert b"".join(line.content for line in lines) == path.read_bytes()[:-20]
