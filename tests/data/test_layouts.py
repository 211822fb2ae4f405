"""A layout's files become the subjects of a table, with one name for a sequence whatever a layout calls it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from gantk.cli.main import app
from gantk.data.layouts import find_subjects
from gantk.data.table import CohortTable
from gantk.data.volumes import read_volumes, write_like
from gantk.errors import DataError, UsageError
from gantk.progress import QuietProgress


class Notes(QuietProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


QUIET = QuietProgress()


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


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


def test_bids_with_sessions_contrast_agents_runs_and_masks(tmp_path):
    for visit in ("ses-1", "ses-2"):
        stem = f"sub-01/{visit}/anat/sub-01_{visit}"
        names = ("T1w", "ce-gadolinium_T1w", "acq-space_FLAIR", "run-1_T2w", "run-2_T2w")
        touch(tmp_path, *(f"{stem}_{name}.nii.gz" for name in names), f"{stem}_T1w.json")
        masks = ("desc-brain_mask", "label-tumor_mask", "space-MNI_desc-brain_mask", "desc-preproc_T1w")
        touch(tmp_path, *(f"derivatives/tool/{stem}_{name}.nii.gz" for name in masks))
    touch(tmp_path, "sub-02/anat/sub-02_T1w.nii", "sub-02/func/sub-02_bold.nii.gz", "sub-02/anat/sub-02_dseg.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tsite\nsub-01\tOslo\n")
    first, second, third = find_subjects(tmp_path, "bids", notes := Notes())
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
    assert len(notes.said) == 1
    assert "'t2_run-2'" in notes.said[0]


def decathlon(root: Path, modalities: tuple[str, ...]) -> Path:
    """Two patients with a label and one without, real files of 4 × 5 × 6 voxels."""
    cases = ("BRATS_001", "BRATS_002", "BRATS_003")
    shape = (4, 5, 6, len(modalities)) if len(modalities) > 1 else (4, 5, 6)
    for number, case in enumerate(cases):
        for folder in ("imagesTr", "labelsTr"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        voxels = np.arange(np.prod(shape)).reshape(shape, order="F").astype(np.int16) + 1 + number
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), root / "imagesTr" / f"{case}.nii.gz")
        nib.save(nib.Nifti1Image(np.ones(shape[:3], np.uint8), np.eye(4)), root / "labelsTr" / f"{case}.nii.gz")
    told = {
        "modality": {str(n): name for n, name in enumerate(modalities)},
        "training": [
            {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in cases[:2]
        ],
        "test": [f"./imagesTr/{cases[2]}.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(told))
    return root


def test_volumes_of_a_decathlon_file_are_read_and_written_like_files_of_their_own(tmp_path):
    root = decathlon(tmp_path / "Task01", ("FLAIR", "T1w", "t1gd", "T2w"))
    result = CliRunner().invoke(app, ["data", "table", str(root), "-o", str(tmp_path / "c.csv"), "--layout", "msd"])
    assert result.exit_code == 0, result.output
    assert "3 patients" in result.output
    assert "t1ce 3, seg 2" in result.output
    subject, _, last = CohortTable(tmp_path / "c.csv").subjects(QUIET)
    assert last.segmentation is None
    volumes = read_volumes(subject, ["flair", "t1ce"])
    written = np.asarray(nib.load(root / "imagesTr" / "BRATS_001.nii.gz").dataobj)
    for number, name in ((0, "flair"), (2, "t1ce")):
        assert np.array_equal(volumes.images[name][::-1, ::-1], written[..., number])
    write_like(tmp_path / "made.nii.gz", volumes.images["t1ce"], subject.files["flair"])
    made = nib.load(tmp_path / "made.nii.gz")
    assert made.shape == (4, 5, 6)
    assert np.array_equal(np.asarray(made.dataobj), written[..., 2])


def test_a_decathlon_file_of_one_modality_has_no_number(tmp_path):
    (first, *_) = find_subjects(decathlon(tmp_path, ("CT",)), "msd", QUIET)
    assert first.files["ct"].name == "BRATS_001.nii.gz"


@pytest.mark.parametrize(
    ("text", "message"), [(None, "no dataset.json"), ("[]", "does not list"), ("{", "does not list")]
)
def test_a_folder_that_is_no_task_of_the_decathlon(tmp_path, text, message):
    if text is not None:
        (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=message):
        find_subjects(tmp_path, "msd", QUIET)


def test_patterns_say_patient_visit_and_modality(tmp_path):
    touch(tmp_path, "IXI-T1/IXI002-Guys-0828-T1.nii.gz", "IXI-T2/IXI002-Guys-0828-T2.nii.gz", "notes.txt", "mean.nii")
    (subject,) = find_subjects(tmp_path, "flat", notes := Notes(), ["{patient}-{modality}.nii.gz"])
    assert (subject.id, set(subject.files)) == ("IXI002-Guys-0828", {"t1", "t2"})
    assert "mean.nii fit no pattern" in notes.said[0]
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
    with pytest.raises(DataError, match=r"no file fits.*x/a_t1\.nii\.gz"):
        find_subjects(tmp_path, "flat", QUIET, ["{patient}-{modality}.nii.gz"])
    with pytest.raises(DataError, match="two files are the 't1' image of 'a'"):
        find_subjects(tmp_path, "flat", QUIET, ["{patient}_{modality}.nii.gz"])


def test_a_table_that_was_edited_is_not_written_over(tmp_path):
    touch(tmp_path, "d/P1/P1_t1.nii.gz")
    table = tmp_path / "cohort.csv"
    table.write_text("mine")
    arguments = ["data", "table", str(tmp_path / "d"), "-o", str(table), "--layout", "brats"]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert table.read_text() == "mine"
    assert CliRunner().invoke(app, [*arguments, "--overwrite"]).exit_code == 0
    assert table.read_text().splitlines() == ["patient,t1", "P1,d/P1/P1_t1.nii.gz"]
