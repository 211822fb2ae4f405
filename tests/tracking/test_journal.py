from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantk.errors import TrackingError
from gantk.tracking.journal import Journal, Tail


def filled(path: Path, steps: int) -> Journal:
    journal = Journal(path)
    for step in range(1, steps + 1):
        assert journal.append(step, 0, "one", {"a": step}) == step - 1
    return journal


def test_records_are_what_was_appended(tmp_path: Path) -> None:
    journal = filled(tmp_path / "metrics.jsonl", 3)
    records = list(journal.records(after_seq=0))
    assert [(r["seq"], r["step"], r["metrics"]) for r in records] == [(1, 2, {"a": 2.0}), (2, 3, {"a": 3.0})]
    assert {"epoch", "stage", "time"} <= records[0].keys()


def test_a_missing_journal_has_no_records(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "none.jsonl").records()) == []
    assert Journal(tmp_path / "none.jsonl").rewind(3) == 0


@given(cut=st.integers(0, 400))
def test_a_journal_cut_anywhere_goes_on(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "metrics.jsonl"
    filled(path, 4).close()
    path.write_bytes(path.read_bytes()[:cut])
    whole = list(Journal(path).records())
    journal = Journal(path)
    assert journal.append(9, 0, "one", {"a": 9}) == len(whole)
    assert [*whole, {"step": 9}] == [
        *list(journal.records())[:-1],
        {"step": list(journal.records())[-1]["step"]},
    ]


def test_rewind_drops_later_steps_and_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    filled(path, 5).close()
    with path.open("ab") as file:
        file.write(b'{"seq": 5, "st')
    journal = Journal(path)
    assert journal.rewind(3) == 3
    assert [r["step"] for r in journal.records()] == [1, 2, 3]
    assert journal.append(4, 0, "one", {"a": 4}) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    filled(path, 3).close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"rubbish\n" + lines[2])
    with pytest.raises(TrackingError, match=r"metrics\.jsonl, line 2"):
        list(Journal(path).records())


def test_tail_reads_each_record_once_and_starts_over_after_a_rewind(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    journal = filled(path, 3)
    assert [r["step"] for r in tail.read(limit=2)] == [1, 2]
    with path.open("ab") as file:
        file.write(b'{"torn')
    assert [r["step"] for r in tail.read()] == [3]
    assert tail.read() == []
    journal.rewind(1)
    assert [r["step"] for r in tail.read()] == [1]
