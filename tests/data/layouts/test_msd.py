"""Tasks of the Medical Segmentation Decathlon."""

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
from gantk.errors import DataError
from gantk.progress import QuietProgress

QUIET = QuietProgress()


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
