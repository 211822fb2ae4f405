"""What all datasets of NIfTI files share: one patient in one folder, and how images are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.data.brats import Brats
from gantk.data.scans import Scans
from gantk.errors import DataError
from patient_folders import touch


def test_one_patients_folder(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no 't1ce' image"):
        Brats.subject_at(cohort / "LGG" / "P4", ["t1", "t1ce"])
    with pytest.raises(DataError, match="holds no image"):
        Brats.subject_at(cohort / "LGG", ["t1"])
    with pytest.raises(DataError, match="does not exist"):
        Brats.subject_at(tmp_path / "gone", ["t1"])


def test_names_of_modalities_are_those_of_the_literature_or_the_files_own(tmp_path: Path) -> None:
    touch(tmp_path, "P1/P1_t1.nii.gz", "P1/P1_t1gd.nii.gz", "P1/P1_adc.nii.gz")
    subject = Scans.subject_at(tmp_path / "P1", ["t1", "t1ce"])
    assert subject.files["t1ce"] == tmp_path / "P1" / "P1_t1gd.nii.gz"
    with pytest.raises(DataError, match=r"no 'adcc' image.*did you mean 'adc'.*_adcc\.nii\.gz"):
        Scans.subject_at(tmp_path / "P1", ["adcc"])
    listed = Scans.listed_at(tmp_path / "P1")
    assert {file.name for file in listed.files.values()} == {"P1_t1.nii.gz", "P1_t1gd.nii.gz", "P1_adc.nii.gz"}


def test_a_folder_without_images_of_one_patient_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        Scans.listed_at(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="this folder holds no image of a patient"):
        Scans.listed_at(tmp_path / "empty")


def test_what_changes_how_files_are_read_is_part_of_what_is_stored_of_them() -> None:
    assert Scans(0.1).reading == {"tolerance": 0.1}
    assert Scans(0.1, "to:t1").reading == {"tolerance": 0.1, "resample": "to:t1"}
