"""What datasets may declare about their subjects."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import TypeAdapter, ValidationError

from gantk.data.dataset import Pattern, make_data, no_folder, noun_of, with_patient
from gantk.data.volumes import Subject
from gantk.progress import QuietProgress


@pytest.mark.parametrize(
    ("name", "pattern", "patient"),
    [
        ("P1_visit2", "[^_]+", "P1"),
        ("site/P1_visit2", "[^_]+", "P1"),  # the last part of an id counts
        ("P1_visit2", "P([0-9]+)_", "1"),
        ("visit2", "P[0-9]+", "visit2"),
        ("P1", "x*", "P1"),  # an empty match names nobody
    ],
)
def test_a_pattern_finds_the_patient(name: str, pattern: str, patient: str) -> None:
    assert with_patient(Subject(name, {}), pattern).patient == patient


def test_a_pattern_must_be_one() -> None:
    assert TypeAdapter(Pattern).validate_python("[a-z]+") == "[a-z]+"
    with pytest.raises(ValidationError, match="not a valid regular expression"):
        TypeAdapter(Pattern).validate_python("(")


def test_optional_members_may_be_absent() -> None:
    made: list[object] = []
    assert noun_of(SimpleNamespace()) == "patient"
    assert noun_of(SimpleNamespace(noun="picture")) == "picture"
    progress = QuietProgress()
    make_data(SimpleNamespace(), progress)
    make_data(SimpleNamespace(make=made.append), progress)
    assert made == [progress]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    assert "does not exist" in str(no_folder(tmp_path / "x", "name it"))
    (tmp_path / "x").touch()
    assert "this is not a folder" in str(no_folder(tmp_path / "x", "name it"))
