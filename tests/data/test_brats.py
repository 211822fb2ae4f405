"""The reader finds patients wherever BraTS puts them, and says what is wrong with a folder."""

from __future__ import annotations

import numpy as np
import pytest

from gantk.data.brats import Brats
from gantk.data.cohort import by_target
from gantk.data.phantom_dataset import Phantom
from gantk.errors import CacheError, DataError
from gantk.progress import QuietProgress

QUIET = QuietProgress()


def test_patients_are_found_at_any_depth_sorted_by_id(cohort):
    subjects = Brats(cohort).subjects(QUIET)
    assert [s.id for s in subjects] == ["P1", "P2", "P3", "P4"]
    assert set(subjects[0].files) == {"t1", "t2", "flair", "t1ce"}
    assert subjects[0].segmentation.name == "P1_seg.nii.gz"
    assert subjects[2].segmentation is None
    assert by_target(subjects, ["t1", "t2", "flair"], ["t1ce"]) == (["P1", "P2", "P3"], ["P4"], [])


def test_names_are_read_after_the_last_underscore(tmp_path, write_patient):
    folder = write_patient(tmp_path / "BraTS20_Training_355", ("t1", "adc"), seg=False)
    (folder / "BraTS20_Training_355_adc.nii.gz").rename(folder / "BraTS20_Training_355_ADC.nii.gz")
    (folder / "W39_1998.09.19_Segm.nii").touch()
    (folder / "._BraTS20_Training_355_t1.nii.gz").touch()
    (folder / "notes_t2.txt").touch()
    subject = Brats.subject_at(folder, ["t1", "adc"])
    assert subject.id == "BraTS20_Training_355"
    assert set(subject.files) == {"t1", "adc"}
    assert subject.segmentation.name == "W39_1998.09.19_Segm.nii"


def test_a_root_that_is_missing_or_empty_is_named(tmp_path):
    for root, message in [(tmp_path / "gone", "does not exist"), (tmp_path, "holds no patient")]:
        with pytest.raises(DataError, match=message) as caught:
            Brats(root).subjects(QUIET)
        assert caught.value.where == str(root)


def test_an_id_or_modality_that_appears_twice_is_refused(cohort, write_patient):
    twice = write_patient(cohort / "HGG" / "P2", ("t1",), seg=False)
    with pytest.raises(DataError, match="two folders hold a patient 'P2'"):
        Brats(cohort).subjects(QUIET)
    (twice / "other_t1.nii").touch()
    with pytest.raises(DataError, match=r"two 't1' images.*P2_t1\.nii\.gz"):
        Brats.subject_at(twice, ["t1"])


def test_one_patients_folder(cohort, tmp_path):
    with pytest.raises(DataError, match="no 't1ce' image"):
        Brats.subject_at(cohort / "LGG" / "P4", ["t1", "t1ce"])
    with pytest.raises(DataError, match="holds no image"):
        Brats.subject_at(cohort / "LGG", ["t1"])
    with pytest.raises(DataError, match="does not exist"):
        Brats.subject_at(tmp_path / "gone", ["t1"])


def test_a_cohort_without_input_or_target_is_refused(cohort):
    subjects = Brats(cohort).subjects(QUIET)
    with pytest.raises(DataError, match=r"no patient has a 't1c' image.*did you mean 't1ce'"):
        by_target(subjects, ["t1"], ["t1c"])
    with pytest.raises(DataError, match="patient 'P4' has no 't1ce' image"):
        by_target(subjects, ["t1ce"], ["t1"])
    with pytest.raises(DataError, match="no patient has a 't1ce' image"):
        by_target(subjects[3:], ["t1"], ["t1ce"])


def test_the_phantom_is_written_once_and_read_as_brats(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path))
    phantom = Phantom(subjects=2, voxel=8.0)
    subjects = phantom.subjects(QUIET)
    assert not list(tmp_path.iterdir())  # listed, not made
    phantom.make(QUIET)
    assert subjects == Brats(phantom.root).subjects(QUIET)
    assert len(subjects) == 2
    stamps = [file.stat().st_mtime_ns for s in subjects for file in s.files.values()]
    Phantom(subjects=1, voxel=8.0).make(QUIET)
    again = Phantom(subjects=1, voxel=8.0).subjects(QUIET)
    assert again == subjects[:1]
    assert stamps[:4] == [file.stat().st_mtime_ns for file in again[0].files.values()]
    volumes = Phantom(subjects=1, voxel=8.0).read(again[0], ["t1", "t2", "flair", "t1ce"])
    assert volumes.spacing == pytest.approx((8, 8, 8))
    assert np.isin(volumes.segmentation, (0, 1, 2, 4)).all()


def test_a_phantom_that_cannot_be_written_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "phantom").write_text("a file where the folder should be")
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path))
    with pytest.raises(CacheError, match="GANTK_CACHE"):
        Phantom(subjects=1, voxel=8.0).make(QUIET)
