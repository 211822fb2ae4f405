"""Files named as in BraTS, of all its years."""

from __future__ import annotations

from gantk.data.layouts import find_subjects
from gantk.progress import QuietProgress
from patient_folders import touch

QUIET = QuietProgress()


def test_brats_of_all_years_has_one_name_for_a_sequence(tmp_path):
    touch(tmp_path, *(f"Brats18_CBICA_AAM_1/Brats18_CBICA_AAM_1_{m}.nii.gz" for m in ("t1", "t1ce", "flair", "seg")))
    for visit in ("000", "001"):
        case = f"BraTS-GLI-00005-{visit}"
        touch(tmp_path, *(f"{case}/{case}-{m}.nii.gz" for m in ("t1n", "t1c", "t2w", "t2f", "seg")))
    old, new = sorted(find_subjects(tmp_path, "brats", QUIET), key=lambda s: len(s.files))[:2]
    assert set(old.files) == {"t1", "t1ce", "flair"}
    assert set(new.files) == {"t1", "t1ce", "t2", "flair"}
    assert new.files["t1ce"].name.endswith("-t1c.nii.gz")
    assert new.segmentation is not None
    assert (new.patient, old.patient) == ("BraTS-GLI-00005", "Brats18_CBICA_AAM_1")
