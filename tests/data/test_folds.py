"""Folds test every patient once, keep a patient's images together, and follow what the dataset says."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gantk.api.listing import list_cohort
from gantk.data.cohort import split_cohort
from gantk.data.folds import parts_in_fold
from gantk.errors import DataError, RecipeError
from gantk.progress import QuietProgress
from gantk.recipe.load import recipe_from_table


@settings(deadline=None)
@given(patients=st.integers(4, 40), visits=st.integers(1, 3), folds=st.integers(2, 4), seed=st.integers(0, 99))
def test_every_patient_is_tested_once_with_all_visits(patients, visits, folds, seed):
    owners = {f"p{n}-{v}": f"p{n}" for n in range(patients) for v in range(visits)}
    tested: Counter[str] = Counter()
    sizes = []
    for fold in range(folds):
        parts = parts_in_fold(sorted(owners), folds=folds, fold=fold, seed=seed, owners=owners)
        split = split_cohort(
            sorted(owners), [], parts=parts, owners=owners, ratio=(7, 1, 0), seed=seed, paired_fraction=1
        )
        assert split.validation
        assert split.paired
        sizes.append(len(split.patients_of(split.test)))
        tested.update(split.test)
    assert tested == dict.fromkeys(owners, 1)
    assert max(sizes) - min(sizes) <= 1


def test_folds_have_a_share_of_every_stratum():
    strata = {f"p{n:02}": "Oslo" if n < 30 else "Rome" if n < 40 else "" for n in range(50)}
    for fold in range(5):
        parts = parts_in_fold(sorted(strata), folds=5, fold=fold, seed=3, strata=strata)
        assert Counter(strata[name] for name in parts) == {"Oslo": 6, "Rome": 2, "": 2}
    split = split_cohort(sorted(strata), [], strata=strata, seed=1, paired_fraction=0.5)
    assert Counter(strata[name] for name in split.test) == {"Oslo": 6, "Rome": 2, "": 2}
    assert Counter(strata[name] for name in split.validation) == {"Oslo": 3, "Rome": 1, "": 1}


def test_the_folds_of_a_data_set_are_kept_and_those_without_train():
    given_ = {"a": 0, "b": 1, "c": 0}
    for fold, tested in ((0, {"a", "c"}), (1, {"b"})):
        parts = parts_in_fold(["a", "b", "c", "d"], folds=2, fold=fold, seed=0, given=given_)
        assert parts == dict.fromkeys(tested, "test")
    with pytest.raises(DataError, match="no patient is in fold 2"):
        parts_in_fold(["a", "b", "c"], folds=3, fold=2, seed=0, given=given_)
    with pytest.raises(DataError, match=r"'b' into fold 1.*folds = 2"):
        parts_in_fold(["a", "b"], folds=1, fold=0, seed=0, given=given_)
    with pytest.raises(DataError, match="'p' is in two folds"):
        parts_in_fold(["a", "b"], folds=2, fold=0, seed=0, given=given_, owners={"a": "p", "b": "p"})


def test_a_data_set_with_a_validation_part_keeps_it_and_one_with_a_test_part_has_no_folds():
    patients = [f"p{n}" for n in range(6)]
    for fold in range(2):
        parts = parts_in_fold(patients, folds=2, fold=fold, seed=0, parts={"p0": "validation", "p1": "training"})
        assert parts["p0"] == "validation"
    with pytest.raises(DataError, match="'p5' into the test part"):
        parts_in_fold(patients, folds=2, fold=0, seed=0, parts={"p5": "test"})
    with pytest.raises(DataError, match="7 folds need at least as many"):
        parts_in_fold(patients, folds=7, fold=0, seed=0)


def recipe(file, **split):
    return recipe_from_table(
        {
            "name": "folds",
            "data": {
                "dataset": "table",
                "file": str(file),
                "inputs": ["t1"],
                "target": "t2",
                "slices": "all",
                "split": split,
            },
            "translators": {"g": {"generator": {"use": "unet"}}},
            "losses": {"l1": {"use": "l1", "on": "g"}},
            "schedule": {"use": "constant"},
        }
    )


@pytest.fixture
def table(tmp_path):
    """Ten patients of two sites, the last without the target."""
    (tmp_path / "x.nii.gz").touch()
    rows = [f"p{n},x.nii.gz,{'x.nii.gz' if n < 9 else ''},{'AB'[n % 2]}" for n in range(10)]
    (tmp_path / "c.csv").write_text("\n".join(["patient,t1,t2,site", *rows]))
    return tmp_path / "c.csv"


def test_a_recipe_with_folds_splits_a_table(table, registry):
    splits = [
        list_cohort(recipe(table, folds=3, fold=fold, stratify="site"), registry, QuietProgress()).split
        for fold in range(3)
    ]
    assert Counter(name for split in splits for name in split.test) == Counter(f"p{n}" for n in range(9))
    assert all("p9" in split.unpaired for split in splits)
    assert len({split.hash for split in splits}) == 3
    with pytest.raises(DataError, match=r"no patient has a 'sites' to stratify by.*'site'"):
        list_cohort(recipe(table, stratify="sites"), registry, QuietProgress())


@pytest.mark.parametrize("split", [{"folds": 5}, {"fold": 1}, {"folds": 5, "fold": 5}, {"folds": 1, "fold": 0}])
def test_folds_that_cannot_be_are_an_error_of_the_recipe(table, split):
    with pytest.raises(RecipeError, match="fold"):
        recipe(table, **split)
