"""Folders of patients: whose the files are, under which names, and what is wrong with a folder."""

from __future__ import annotations

import pytest

from gantk.data.brats import Brats
from gantk.errors import DataError
from gantk.progress import QuietProgress
from patient_folders import harmless, listed, touch
from told import Told

QUIET = QuietProgress()


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


def test_a_modality_that_appears_twice_is_refused(tmp_path, write_patient):
    folder = write_patient(tmp_path / "P1", ("t1",), seg=False)
    (folder / "P1_t1.nii").touch()
    with pytest.raises(DataError, match=r"P1_t1\.nii and P1_t1\.nii\.gz") as caught:
        Brats.subject_at(folder, ["t1"])
    harmless(caught.value)


def test_names_with_hyphens_are_read(tmp_path):
    for number in (1, 2):
        case = f"BraTS-GLI-0000{number}-000"
        touch(tmp_path, *(f"{case}/{case}-{m}.nii.gz" for m in ("t1n", "t1c", "t2w", "t2f", "seg", "t1n-voided")))
    subjects = Brats(tmp_path).subjects(QUIET)
    assert [s.id for s in subjects] == ["BraTS-GLI-00001-000", "BraTS-GLI-00002-000"]
    assert set(subjects[0].files) == {"t1n", "t1c", "t2w", "t2f", "t1n-voided"}
    assert subjects[0].segmentation.name == "BraTS-GLI-00001-000-seg.nii.gz"


def test_the_folders_name_begins_the_files_names(tmp_path):
    touch(tmp_path, "UPENN-GBM-1_11/UPENN-GBM-1_11_T1_unstripped.nii.gz", "UPENN-GBM-1_11/UPENN-GBM-1_11_T1.nii.gz")
    touch(tmp_path, "P1/P1_0000.nii.gz", "P1/P1_0001.nii.gz")
    assert listed(tmp_path)[0] == {"UPENN-GBM-1_11": {"t1", "t1_unstripped"}, "P1": {"0000", "0001"}}


@pytest.mark.parametrize("folder", ["P000", ".", "HGG/P000"])
def test_files_of_two_patients_are_never_one(tmp_path, folder):
    touch(tmp_path, f"{folder}/A_t1.nii.gz", f"{folder}/B_ct.nii.gz")
    for call in (lambda: Brats(tmp_path).subjects(QUIET), lambda: Brats.subject_at(tmp_path / folder, ["t1", "ct"])):
        with pytest.raises(DataError, match=r"several patients, such as A_t1\.nii\.gz and B_ct\.nii\.gz") as caught:
            call()
        harmless(caught.value)


def test_files_beside_and_below_patients_are_named_and_left_out(tmp_path):
    patients = {f"P{n}": {"t1"} for n in range(3)}
    touch(tmp_path, *(f"{name}/{name}_t1.nii.gz" for name in patients))
    touch(tmp_path, "MNI152_brain.nii.gz", "P0/Q_ct.nii.gz", "P1/masks/brain_mask.nii.gz", f"{tmp_path.name}_mean.nii")
    found, notes = listed(tmp_path)
    assert found == patients
    for stray in ("MNI152_brain.nii.gz", "Q_ct.nii.gz", "brain_mask.nii.gz", f"{tmp_path.name}_mean.nii"):
        assert f"{stray} " in notes
    touch(tmp_path, *(f"{n}_t1.nii.gz" for n in range(9)))
    assert "more like these" in listed(tmp_path)[1]


def test_a_segmentation_of_another_name_is_told(tmp_path):
    touch(tmp_path, "P1/P1_t1.nii", "P1/W39_1998.09.19_Segm.nii")
    subjects = Brats(tmp_path).subjects(told := Told())
    assert subjects[0].segmentation.name == "W39_1998.09.19_Segm.nii"
    assert "W39_1998.09.19_Segm.nii is used as the segmentation" in told.notes[0]


def test_a_folder_that_cannot_be_read_is_no_lost_patient(tmp_path, monkeypatch):
    touch(tmp_path, "P1/P1_t1.nii.gz")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("gantk.files.os.scandir", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        Brats(tmp_path).subjects(QUIET)
    with pytest.raises(DataError, match="Permission denied"):
        Brats.subject_at(tmp_path / "P1", ["t1"])
