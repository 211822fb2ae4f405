"""Data sets in the BIDS layout."""

from __future__ import annotations

from gantk.data.layouts import find_subjects
from patient_folders import touch
from told import Told


def test_bids_with_sessions_contrast_agents_runs_and_masks(tmp_path):
    for visit in ("ses-1", "ses-2"):
        stem = f"sub-01/{visit}/anat/sub-01_{visit}"
        names = ("T1w", "ce-gadolinium_T1w", "acq-space_FLAIR", "run-1_T2w", "run-2_T2w")
        touch(tmp_path, *(f"{stem}_{name}.nii.gz" for name in names), f"{stem}_T1w.json")
        masks = ("desc-brain_mask", "label-tumor_mask", "space-MNI_desc-brain_mask", "desc-preproc_T1w")
        touch(tmp_path, *(f"derivatives/tool/{stem}_{name}.nii.gz" for name in masks))
    touch(tmp_path, "sub-02/anat/sub-02_T1w.nii", "sub-02/func/sub-02_bold.nii.gz", "sub-02/anat/sub-02_dseg.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tsite\nsub-01\tOslo\n")
    first, second, third = find_subjects(tmp_path, "bids", told := Told())
    assert (first.id, first.patient, second.id, third.id) == ("sub-01_ses-1", "sub-01", "sub-01_ses-2", "sub-02")
    assert {name: file.name.removeprefix("sub-01_ses-1_") for name, file in first.files.items()} == {
        "t1": "T1w.nii.gz",
        "t1ce": "ce-gadolinium_T1w.nii.gz",
        "flair": "acq-space_FLAIR.nii.gz",
        "t2": "run-1_T2w.nii.gz",
        "t2_run-2": "run-2_T2w.nii.gz",
        "mask": "desc-brain_mask.nii.gz",
    }
    assert first.segmentation.name == "sub-01_ses-1_label-tumor_mask.nii.gz"
    assert first.facts == {"site": "Oslo"}
    assert (set(third.files), third.segmentation.name) == ({"t1"}, "sub-02_dseg.nii.gz")
    assert len(told.notes) == 1
    assert "'t2_run-2'" in told.notes[0]
