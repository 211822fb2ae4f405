"""The reader finds patients wherever BraTS puts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.api.listing import list_cohort
from gantk.data.brats import Brats
from gantk.data.cohort import by_target
from gantk.errors import DataError, RecipeError
from gantk.progress import QuietProgress
from gantk.recipe.load import recipe_from_table
from patient_folders import harmless, listed, touch

QUIET = QuietProgress()


def test_patients_are_found_at_any_depth_sorted_by_id(cohort):
    subjects = Brats(cohort).subjects(QUIET)
    assert [s.id for s in subjects] == ["P1", "P2", "P3", "P4"]
    assert set(subjects[0].files) == {"t1", "t2", "flair", "t1ce"}
    assert subjects[0].segmentation.name == "P1_seg.nii.gz"
    assert subjects[2].segmentation is None
    assert by_target(subjects, ["t1", "t2", "flair"], ["t1ce"]) == (["P1", "P2", "P3"], ["P4"], [])


def test_a_root_that_is_missing_or_empty_is_named(tmp_path):
    (tmp_path / "file").touch()
    wrong = {"gone": "this folder does not exist", "file": "this is not a folder", "": "holds no patient"}
    for root, message in ((tmp_path / name, message) for name, message in wrong.items()):
        with pytest.raises(DataError, match=message) as caught:
            Brats(root).subjects(QUIET)
        assert caught.value.where == str(root)


def test_an_id_that_appears_twice_is_refused(cohort, write_patient):
    write_patient(cohort / "HGG" / "P2", ("t1",), seg=False)
    with pytest.raises(DataError, match="two folders hold a patient 'P2'") as caught:
        Brats(cohort).subjects(QUIET)
    harmless(caught.value)


def test_links_are_named_as_they_are_written_and_lead_to_a_patient_once(tmp_path):
    touch(tmp_path, *(f"store/{n}/P{n}_{m}.nii.gz" for n in range(3) for m in ("t1", "t2")))
    data = tmp_path / "data"
    (data / "site" / "P3").mkdir(parents=True)
    for number in range(3):
        (data / f"P{number}").symlink_to(tmp_path / "store" / str(number))
    touch(data, "site/P3/P3_t1.nii.gz")
    (data / "P4").mkdir()
    for name in ("t1", "t2"):  # file by file
        (data / "P4" / f"P4_{name}.nii.gz").symlink_to(tmp_path / "store" / f"P4_{name}")
    touch(tmp_path, "store/P4_t1", "store/P4_t2")
    whole = {"P0": {"t1", "t2"}, "P1": {"t1", "t2"}, "P2": {"t1", "t2"}, "P3": {"t1"}, "P4": {"t1", "t2"}}
    assert listed(data)[0] == whole
    for number in range(12):  # 2 to the power of 12 paths, were each followed
        (data / f"a{number}").symlink_to(data)
        (data / "site" / f"b{number}").symlink_to(data)
    (data / "again").symlink_to(data / "P0")
    (data / "A3").symlink_to(data / "site" / "P3")  # comes first by name, but is a link
    (data / "itself").symlink_to(data / "itself")
    found, notes = listed(data)
    assert found == whole
    assert "itself is a broken link" in notes
    (data / "Q4").mkdir()
    for name in ("t1", "t2"):
        (data / "Q4" / f"Q4_{name}.nii.gz").hardlink_to(tmp_path / "store" / f"P4_{name}")
    found, notes = listed(data)
    assert found == whole
    assert "Q4 holds the files of patient 'P4' again" in notes


def test_a_linked_root_and_a_root_that_is_the_patient(tmp_path, monkeypatch):
    touch(tmp_path, "store/P1/P1_t1.nii.gz")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    assert listed(tmp_path / "link")[0] == {"P1": {"t1"}}
    monkeypatch.chdir(tmp_path / "store" / "P1")
    assert Brats.subject_at(Path(), ["t1"]).id == "P1"
    assert listed(Path())[0] == {"P1": {"t1"}}


def test_a_link_that_leads_nowhere_is_no_patient_without_the_image(tmp_path):
    touch(tmp_path, "P1/P1_t1.nii.gz")
    (tmp_path / "P1" / "P1_t2.nii.gz").symlink_to(tmp_path / "annex")
    found, notes = listed(tmp_path)
    assert found == {"P1": {"t1", "t2"}}
    assert "P1_t2.nii.gz is a broken link" in notes


def test_a_cohort_without_input_or_target_is_refused(cohort):
    subjects = Brats(cohort).subjects(QUIET)
    with pytest.raises(DataError, match=r"no patient has a 't1c' image.*did you mean 't1ce'"):
        by_target(subjects, ["t1"], ["t1c"])
    with pytest.raises(DataError, match="patient 'P4' has no 't1ce' image"):
        by_target(subjects, ["t1ce"], ["t1"])
    with pytest.raises(DataError, match="no patient has a 't1ce' image"):
        by_target(subjects[3:], ["t1"], ["t1ce"])


def test_visits_are_of_one_patient(tmp_path, write_patient):
    for name in ("BraTS-GLI-00005-100", "BraTS-GLI-00005-101", "BraTS-GLI-00006-100", "P1_1", "P1_2", "BraTS20_007"):
        write_patient(tmp_path / name, ("t1",), seg=False)
    owner = {subject.id: subject.patient for subject in Brats(tmp_path).subjects(QuietProgress())}
    assert owner["BraTS-GLI-00005-100"] == owner["BraTS-GLI-00005-101"] == "BraTS-GLI-00005"
    assert owner["BraTS-GLI-00006-100"] == "BraTS-GLI-00006"
    assert [owner[name] for name in ("P1_1", "P1_2", "BraTS20_007")] == ["P1_1", "P1_2", "BraTS20_007"]
    told = {subject.id: subject.patient for subject in Brats(tmp_path, patient="(P[0-9]+)_").subjects(QuietProgress())}
    assert told["P1_1"] == told["P1_2"] == "P1"


def test_two_scans_of_a_patient_never_train_and_test(tmp_path, write_patient, registry):
    """The whole way, from folders to the split of a recipe."""
    for number in range(12):
        write_patient(tmp_path / f"P{number // 2}_{number % 2}", ("t1", "t2"), seg=False)
    table = {"dataset": "brats", "root": str(tmp_path), "inputs": ["t1"], "target": "t2", "patient": "[^_]+"}
    recipe = recipe_from_table(
        {
            "name": "visits",
            "data": {**table, "slices": "all"},
            "translators": {"g": {"generator": {"use": "unet"}}},
            "losses": {"l1": {"use": "l1", "on": "g"}},
            "schedule": {"use": "constant"},
        }
    )
    split = list_cohort(recipe, registry, QuietProgress()).split
    training, test = (split.patients_of(ids) for ids in (split.training, split.test))
    assert len(split.test) == 2 * len(test) > 0
    assert not set(training) & set(test)


def test_a_pattern_that_is_none_is_refused(registry):
    with pytest.raises(RecipeError, match=r"patient.*not a valid regular expression"):
        registry.get("dataset", "brats", "data.dataset").build({"root": "x", "patient": "("}, "data")
