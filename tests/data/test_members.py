"""The patients at a path: rows of a table, folders of patients, a BIDS data set, or one patient."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.data.members import patients_at
from gantk.data.volumes import Subject
from gantk.errors import DataError
from patient_folders import touch


def test_folders_that_hold_one_patient_each(tmp_path: Path) -> None:
    touch(tmp_path, "HGG/P2/P2_t1.nii.gz", "HGG/P2/P2_t2.nii.gz", "LGG/P1/P1_t1.nii.gz")
    assert patients_at(tmp_path) == [tmp_path / "HGG" / "P2", tmp_path / "LGG" / "P1"]


def test_the_folder_of_one_patient_is_no_cohort(tmp_path: Path) -> None:
    touch(tmp_path, "P1/P1_t1.nii.gz", "P1/P1_t1ce.nii.gz")
    assert patients_at(tmp_path / "P1") is None
    touch(tmp_path, "P1/old/mean.nii.gz")
    assert patients_at(tmp_path / "P1") is None, "what lies below one patient is none"
    assert patients_at(tmp_path / "P1" / "P1_t1.nii.gz") is None
    assert patients_at(tmp_path / "gone") is None


def test_rows_of_a_table_whose_files_may_be_missing(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz")
    (tmp_path / "all.csv").write_text("patient,t1\nA,a.nii.gz\nB,gone.nii.gz\n", encoding="utf-8")
    found = patients_at(tmp_path / "all.csv")
    assert [(s.id, s.files["t1"]) for s in found if isinstance(s, Subject)] == [
        ("A", tmp_path / "a.nii.gz"),
        ("B", tmp_path / "gone.nii.gz"),
    ]


def test_a_bids_data_set(tmp_path: Path) -> None:
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    with pytest.raises(DataError, match="this BIDS data set holds no image") as caught:
        patients_at(tmp_path)
    assert caught.value.where == str(tmp_path)
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    (subject,) = patients_at(tmp_path)
    assert isinstance(subject, Subject)
    assert list(subject.files) == ["t1"]
