"""Other layouts, recognized where BraTS is expected."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gantk.cli.main import app
from gantk.data.brats import Brats
from gantk.data.nifti import located
from gantk.data.table import CohortTable
from gantk.errors import DataError
from gantk.progress import QuietProgress
from patient_folders import harmless, touch

QUIET = QuietProgress()


LAYOUTS = {
    "BIDS": [f"sub-{n}/ses-1/anat/sub-{n}_ses-1_{m}.nii.gz" for n in (1, 2) for m in ("T1w", "ce-GAD_T1w", "T2w")],
    "BIDS without sessions": [f"sub-{n}/anat/sub-{n}_{m}.nii.gz" for n in (1, 2) for m in ("T1w", "T2w")],
    "IXI": [f"IXI-{m}/IXI00{n}-Guys-0828-{m}.nii.gz" for n in (2, 3) for m in ("T1", "T2")],
    "Medical Segmentation Decathlon": [f"{d}Tr/BRATS_00{n}.nii.gz" for n in (1, 2) for d in ("images", "labels")],
    "nnU-Net": [f"imagesTr/case_00{n}_000{c}.nii.gz" for n in (1, 2) for c in (0, 1)],
    "BraTS 2023": [f"{n}/BraTS-GLI-0000{n}-000-{m}.nii.gz" for n in (1, 2) for m in ("t1n", "t1c")],
    "UCSF-PDGM": [f"UCSF-PDGM-000{n}_nifti/UCSF-PDGM-000{n}_{m}_bias.nii.gz" for n in (1, 2) for m in ("T1", "T2")],
    "DICOM": ["P1/1.dcm", "P1/2.dcm"],
    "not NIfTI": ["P1/t1.nrrd"],
    "pictures": ["a/1.png", "b/1.png"],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_another_layout_is_recognized_by_a_file_that_is_shown(tmp_path, name):
    touch(tmp_path, *LAYOUTS[name])
    with pytest.raises(DataError, match=f"looks like .*{name.partition(' without')[0]}") as caught:
        Brats(tmp_path).subjects(QUIET)
    assert any(Path(file).name in str(caught.value) for file in LAYOUTS[name])
    assert "correct data.root" not in str(caught.value)
    harmless(caught.value)


def test_dicom_is_recognized_whatever_its_files_are_called(tmp_path):
    touch(tmp_path, "P1/notes", "P1/IM0001", "P1/1.2.840.3")
    (tmp_path / "P1" / "IM0001").write_bytes(bytes(128) + b"DICM" + bytes(99))
    with pytest.raises(DataError, match="IM0001 looks like DICOM"):
        Brats(tmp_path).subjects(QUIET)


@pytest.mark.parametrize("names", [["scans/anna-T1.nii.gz"], ["anna/T1.nii"], *LAYOUTS.values()])
def test_the_command_that_an_error_names_lists_the_files(tmp_path, names):
    """Following the advice works: the table lists the content of the folder."""
    root = tmp_path / "my data"
    touch(root, *names)
    images = [{"image": name} for name in names if name.startswith("images")]
    (root / "dataset.json").write_text(json.dumps({"modality": {"0": "T1", "1": "T2"}, "training": images}))
    with pytest.raises(DataError) as caught:
        Brats(root).subjects(QUIET)
    harmless(caught.value)
    if not names[0].endswith((".nii", ".nii.gz")):
        dicom = names is LAYOUTS["DICOM"]  # tests/data/dicom/test_cohort.py runs this one
        assert (f"gantk data table '{root}' -o cohort.csv --layout dicom" in caught.value.mend) == dicom
        return
    command = shlex.split(re.search("`gantk (.*)`", caught.value.mend)[1])
    table = tmp_path / "cohort.csv"
    result = CliRunner().invoke(app, [str(table) if word == "cohort.csv" else word for word in command])
    assert result.exit_code == 0, result.output
    found = {located(file)[0] for s in CohortTable(table).subjects(QUIET) for file in s.files.values()}
    labels = {root / name for name in names if "labels" in name}
    wanted = {root / name for name in names} - labels
    if "UCSF" in names[0]:  # the pattern of one modality, to be repeated
        wanted = {file for file in wanted if "T1" in file.name}
    assert found == wanted


def test_files_that_no_pattern_can_name_are_shown_with_the_way_to_link_them(tmp_path):
    touch(tmp_path, "anna.nii.gz")
    with pytest.raises(DataError, match=r"anna\.nii\.gz is named differently.*make a new folder"):
        Brats(tmp_path).subjects(QUIET)
