from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantk.runs.files import RunFiles
from gantk.tracking.journal import Journal, Tail


def filled(path: Path, steps: int) -> Journal:
    journal = Journal(path)
    for step in range(1, steps + 1):
        assert journal.append(step, 0, "one", {"a": step}) == step - 1
    return journal


def test_records_are_what_was_appended(tmp_path: Path) -> None:
    journal = filled(tmp_path / "metrics.jsonl", 3)
    records = list(journal.records())[1:]
    assert [(r["seq"], r["step"], r["metrics"]) for r in records] == [(1, 2, {"a": 2.0}), (2, 3, {"a": 3.0})]
    assert {"epoch", "stage", "time"} <= records[0].keys()


def test_a_missing_journal_has_no_records(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "none.jsonl").records()) == []
    Journal(tmp_path / "none.jsonl").rewind(3)
    assert not list(tmp_path.iterdir())


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
    journal.rewind(3)
    assert [r["step"] for r in journal.records()] == [1, 2, 3]
    assert journal.append(4, 0, "one", {"a": 4}) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_flipped_bit_gives_another_record(tmp_path_factory: pytest.TempPathFactory, place: int, bit: int) -> None:
    path = tmp_path_factory.mktemp("flipped") / "metrics.jsonl"
    filled(path, 6).close()
    before, content = list(Journal(path).records()), bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    found = list(Journal(path).records())
    assert [record for record in before if record in found] == found
    assert 4 <= len(found) <= 5, "a line's end belongs to two"
    assert Tail(path).read() == found
    Journal(path).rewind(9)
    assert list(Journal(path).records()) == found


def test_lines_without_checksums_are_read_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    old = '{{"seq":{0},"step":{0},"epoch":0,"stage":"one","time":1.5,"metrics":{{"a":{0}}}}}\n'
    path.write_text("".join(map(old.format, range(3))))
    journal = Journal(path)
    assert journal.append(3, 0, "one", {"a": 3}) == 3
    assert [record["metrics"] for record in journal.records()] == [{"a": number} for number in range(4)]
    path.write_text(path.read_text().replace("epoch", "epock", 1))  # nor is every line one of an older gantk
    assert [record["seq"] for record in journal.records()] == [1, 2, 3]


def test_damaged_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    filled(path, 4).close()
    assert RunFiles(tmp_path).damages() == []
    content = path.read_bytes()
    path.write_bytes(content.replace(b"2.0", b"3.0"))
    (damage,) = RunFiles(tmp_path).damages()
    assert str(damage) == f"{path} is damaged in 1 of its 4 lines, first in line 2: their values are missing"
    path.write_bytes(content.replace(b"2.0", b"3.0", 1).replace(b"4.0", b"5.0", 1))
    assert "is damaged in 2 of its 4 lines, first in line 2" in str(RunFiles(tmp_path).damages()[0])
    path.write_bytes(content + b"torn")
    assert RunFiles(tmp_path).damages() == []


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
