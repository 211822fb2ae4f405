"""Splits are by patient, deterministic, nested over fractions, and written down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantk.data.cohort import split_cohort
from gantk.data.split import ROLES, Split
from gantk.errors import DataError

ids = st.sets(st.text("abcdefgh01234", min_size=1, max_size=6), min_size=3, max_size=40)


@given(patients=ids, extra=st.integers(0, 5), seed=st.integers(0, 99), fraction=st.floats(0, 1), data=st.data())
def test_a_split_is_disjoint_complete_and_independent_of_order(patients, extra, seed, fraction, data):
    without = [f"extra-{n}" for n in range(extra)]
    split = split_cohort(sorted(patients), without, seed=seed, paired_fraction=fraction)
    assert sorted(split.patients) == sorted([*patients, *without])
    assert set(without) <= set(split.unpaired)
    assert split.validation
    assert split.test
    assert bool(split.paired) == (fraction > 0)
    shuffled = data.draw(st.permutations(sorted(patients)))
    assert split_cohort(shuffled, without[::-1], seed=seed, paired_fraction=fraction) == split


@given(patients=ids, seed=st.integers(0, 99), fractions=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_larger_paired_fraction_contains_the_smaller(patients, seed, fractions):
    small, large = (split_cohort(list(patients), [], seed=seed, paired_fraction=f) for f in sorted(fractions))
    assert set(small.paired) <= set(large.paired)
    assert (small.validation, small.test) == (large.validation, large.test)


def test_brats_2020_is_split_as_seven_one_two():
    patients = [f"BraTS20_Training_{n:03}" for n in range(1, 370)]
    split = split_cohort(patients, [], seed=0, paired_fraction=0.05)
    assert [len(part) for part in (split.paired, split.unpaired, split.validation, split.test)] == [
        13,
        245,
        37,
        74,
    ]
    assert split_cohort(patients, [], seed=1, paired_fraction=0.05).hash != split.hash


def test_the_stream_of_a_seed_is_fixed():
    """Written down, so that a new NumPy cannot change published splits unnoticed."""
    split = split_cohort([f"p{n}" for n in range(10)], [], seed=0, paired_fraction=0.5)
    assert split.hash == "7840ca1791f0"


def test_too_few_patients_or_a_bad_fraction():
    with pytest.raises(DataError, match=r"at least 3 patients.*has 2"):
        split_cohort(["a", "b"], ["c"], seed=0, paired_fraction=1)
    with pytest.raises(DataError, match="paired fraction is 5"):
        split_cohort(["a", "b", "c"], [], seed=0, paired_fraction=5)
    with pytest.raises(DataError, match="ratio"):
        split_cohort(["a", "b", "c"], [], ratio=(0, 1, 1), seed=0, paired_fraction=1)
    assert split_cohort(["a", "b"], [], ratio=(1, 0, 1), seed=0, paired_fraction=1).validation == ()


def test_patients_with_targets_alone_train_as_targets():
    patients, without, alone = [f"p{n}" for n in range(10)], ["s0", "s1"], ["t0", "t1", "t2"]
    split = split_cohort(patients, without, alone, seed=0, paired_fraction=0.5)
    assert split.target == ("t0", "t1", "t2")
    assert not set(alone) & set(split.training)
    assert split_cohort(patients, without, seed=0, paired_fraction=0.5).test == split.test  # the others stay


def test_without_pairs_each_kind_is_split_by_itself(tmp_path):
    sources, targets = [f"s{n}" for n in range(10)], [f"t{n}" for n in range(20)]
    split = split_cohort([], sources, targets, seed=0, paired_fraction=1)
    assert split.paired == ()
    assert (len(split.unpaired), len(split.target), len(split.validation), len(split.test)) == (7, 14, 3, 6)
    assert sorted(split.patients) == sorted(sources + targets)
    split.to_csv(tmp_path / "split.csv")
    assert Split.from_csv(tmp_path / "split.csv") == split
    assert replace(split, target=split.target[1:]).hash != split.hash


def test_parts_stay_and_what_they_leave_empty_is_taken_from_training():
    patients = [f"p{n}" for n in range(10)]
    split = split_cohort(patients, [], parts={"p1": "test", "p8": "test"}, seed=0, paired_fraction=1)
    assert split.test == ("p1", "p8")
    assert len(split.validation) == 1
    assert split_cohort(patients, [], parts={"p1": "test"}, ratio=(1, 0, 0), seed=0, paired_fraction=1).validation == ()
    with pytest.raises(DataError, match="at least 2 patients"):
        split_cohort(["a", "b"], [], parts={"b": "test"}, seed=0, paired_fraction=1)


def test_without_a_ratio_nothing_is_held_out(tmp_path):
    parts = {"a": "test", "b": "validation"}
    split = split_cohort(["a", "b"], ["c"], ["d"], parts=parts, ratio=None, seed=0, paired_fraction=0.5)
    assert split.on_training
    assert (len(split.paired), len(split.unpaired), split.target) == (1, 2, ("d",))
    assert split.validation == split.test == ("a", "b", "c", "d")
    assert sorted(split.patients) == ["a", "b", "c", "d"]
    split.to_csv(tmp_path / "split.csv")
    assert Split.from_csv(tmp_path / "split.csv") == split
    assert split_cohort(["a"], [], ratio=None, seed=0, paired_fraction=1).paired == ("a",)
    held_out = split_cohort(["a", "b"], ["c"], ["d"], ratio=(1, 0, 0), seed=0, paired_fraction=0.5)
    assert not held_out.on_training
    assert held_out.hash != split.hash


# --- patients of several subjects ---------------------------------------------------------------------------------


def visits(patients, count):
    """The patient of each subject."""
    return {f"{patient}-{visit}": patient for patient in patients for visit in range(count)}


def parts_of(split):
    return [set(split.patients_of(ids)) for ids in ((*split.training, *split.target), split.validation, split.test)]


@given(seed=st.integers(0, 99), fraction=st.floats(0, 1))
def test_a_patient_is_in_one_part_whatever_the_images_of_each_visit(seed, fraction):
    owners = visits([f"p{n}" for n in range(10)], 3)
    ids = sorted(owners)
    split = split_cohort(ids[::3], ids[1::3], ids[2::3], owners=owners, seed=seed, paired_fraction=fraction)
    training, validation, test = parts_of(split)
    assert not training & validation
    assert not (training | validation) & test
    assert set(split.subjects) == set(ids)
    assert (len(training), len(validation), len(test)) == (7, 1, 2)


def test_the_split_of_patients_is_that_of_as_many_subjects():
    patients = [f"p{n}" for n in range(10)]
    one = split_cohort(patients, [], seed=4, paired_fraction=0.5)
    owners = visits(patients, 2)
    two = split_cohort(list(owners), [], owners=owners, seed=4, paired_fraction=0.5)
    for role in ROLES:
        assert two.patients_of(getattr(two, role)) == getattr(one, role)
        assert len(getattr(two, role)) == 2 * len(getattr(one, role))


def test_those_without_pairs_follow_their_patient_where_none_has_pairs():
    owners = visits([f"p{n}" for n in range(10)], 2)
    ids = sorted(owners)
    split = split_cohort([], ids[::2], ids[1::2], owners=owners, seed=0, paired_fraction=1)
    assert [len(part) for part in parts_of(split)] == [7, 1, 2]
    assert len(split.test) == 4


def test_the_data_set_cannot_put_a_patient_into_two_parts():
    owners = visits(["p", "q", "r", "s"], 2)
    parts = {"p-0": "training", "p-1": "test"}
    with pytest.raises(DataError, match=r"patient 'p' is in two parts.*training and test"):
        split_cohort(list(owners), [], parts=parts, owners=owners, seed=0, paired_fraction=1)
    split = split_cohort(list(owners), [], parts={"p-1": "test"}, owners=owners, seed=0, paired_fraction=1)
    assert split.test == ("p-0", "p-1")
    everything = split_cohort(list(owners), [], parts=parts, owners=owners, ratio=None, seed=0, paired_fraction=0.5)
    assert everything.on_training
    assert len(everything.patients_of(everything.paired)) == 2
    assert len(everything.paired) == 4
