"""Splits are written down, hashed and read, or refused where they are damaged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gantk.data.cohort import split_cohort
from gantk.data.split import Split
from gantk.errors import DataError


def test_the_hash_covers_roles_and_ids_and_not_order():
    split = Split(("b", "a"), ("c",), ("d",), ("e",))
    assert split.hash == Split(("a", "b"), ("c",), ("d",), ("e",)).hash
    assert (
        len(
            {
                split.hash,
                replace(split, test=("f",)).hash,
                replace(split, validation=("e",), test=("d",)).hash,
            }
        )
        == 3
    )
    assert len(split.hash) == 12


def test_csv_there_and_back(tmp_path):
    split = split_cohort([f"p,{n}" for n in range(9)], ["x"], seed=3, paired_fraction=0.3)
    split.to_csv(tmp_path / "run" / "split.csv")
    assert (tmp_path / "run" / "split.csv").read_text().startswith("patient,role\n")
    assert Split.from_csv(tmp_path / "run" / "split.csv") == split


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient,part\na,test\n", "columns"),
        ("patient,role\na,tset\n", "did you mean 'test'"),
        ("patient,role\na,test\na,paired\n", "'a' appears twice"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_csv_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "s.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        Split.from_csv(tmp_path / "s.csv")


@pytest.mark.parametrize("lost", range(1, 7))
def test_a_split_that_overlaps_in_part_is_damaged(tmp_path, lost):
    """Only a split of all subjects may train and test on the same ones; partial overlap is an error."""
    path = tmp_path / "split.csv"
    split_cohort(["a", "b"], [], ratio=None, seed=0, paired_fraction=1).to_csv(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:lost] + lines[lost + 1 :]) + "\n")
    with pytest.raises(DataError, match="appears twice"):
        Split.from_csv(path)


def visits(patients, count):
    """The patient of each subject."""
    return {f"{patient}-{visit}": patient for patient in patients for visit in range(count)}


def test_a_split_that_puts_a_patient_into_two_parts_is_refused(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("patient,role,subject\np,paired,p-0\np,test,p-1\n")
    with pytest.raises(DataError, match="'p' is in several parts"):
        Split.from_csv(path)


def test_a_split_of_visits_there_and_back(tmp_path):
    owners = visits([f"p{n}" for n in range(9)], 2)
    split = split_cohort(list(owners), [], owners=owners, seed=3, paired_fraction=0.3)
    split.to_csv(tmp_path / "split.csv")
    assert Split.from_csv(tmp_path / "split.csv") == split
    assert Split.from_dict(json.loads(json.dumps(split.to_dict()))) == split
    assert split.hash != replace(split, owners={}).hash
