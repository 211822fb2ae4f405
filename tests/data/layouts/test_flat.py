"""Patterns say whose a file is and what it shows."""

from __future__ import annotations

import pytest

from gantk.data.layouts import find_subjects
from gantk.errors import DataError, UsageError
from gantk.progress import QuietProgress
from patient_folders import touch
from told import Told

QUIET = QuietProgress()


def test_patterns_say_patient_visit_and_modality(tmp_path):
    touch(tmp_path, "IXI-T1/IXI002-Guys-0828-T1.nii.gz", "IXI-T2/IXI002-Guys-0828-T2.nii.gz", "notes.txt", "mean.nii")
    (subject,) = find_subjects(tmp_path, "flat", told := Told(), ["{patient}-{modality}.nii.gz"])
    assert (subject.id, set(subject.files)) == ("IXI002-Guys-0828", {"t1", "t2"})
    assert "mean.nii match no pattern" in told.notes[0]
    touch(tmp_path / "b", *(f"raw/{v}/{m}_P7_x.nii" for v in ("v1", "v2") for m in ("a", "b")), "lab/P7.v1.nii")
    first, second = find_subjects(
        tmp_path / "b", "flat", QUIET, ["raw/{visit}/{modality}_{patient}_*.nii", "seg=lab/{patient}.{visit}.nii"]
    )
    assert (first.id, second.id, first.patient, second.patient) == ("P7_v1", "P7_v2", "P7", "P7")
    assert set(first.files) == {"a", "b"}
    assert (first.segmentation.name, second.segmentation) == ("P7.v1.nii", None)


@pytest.mark.parametrize(
    "pattern", [None, "x.nii.gz", "{patient}.nii.gz", "{patient}_{sequence}.nii.gz", "t1={patient}_{modality}.nii.gz"]
)
def test_what_is_no_pattern_is_refused(tmp_path, pattern):
    touch(tmp_path, "a_t1.nii.gz")
    with pytest.raises(UsageError, match="pattern"):
        find_subjects(tmp_path, "flat", QUIET, [] if pattern is None else [pattern])


def test_files_that_fit_no_pattern_are_shown_and_two_of_one_image_refused(tmp_path):
    touch(tmp_path, "x/a_t1.nii.gz", "y/a_t1.nii.gz")
    with pytest.raises(DataError, match=r"no file matches.*x/a_t1\.nii\.gz"):
        find_subjects(tmp_path, "flat", QUIET, ["{patient}-{modality}.nii.gz"])
    with pytest.raises(DataError, match="'a' has two 't1' images"):
        find_subjects(tmp_path, "flat", QUIET, ["{patient}_{modality}.nii.gz"])
