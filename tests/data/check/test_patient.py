"""One patient's files read once: facts of each image, and what looks wrong in them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from gantk.data.brats import Brats
from gantk.data.check.patient import PatientCheck, check_patient
from heads import NAMES, SHAPE, change, patient, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return patient(tmp_path / "P0", 0)


def check(folder: Path, onto: str | None = None) -> PatientCheck:
    return check_patient(Brats.listed_at(folder), 0.05, onto)


def said(found: PatientCheck) -> list[str]:
    return [f"{finding.level}: {finding.text}" for finding in found.findings]


def test_a_good_patient_and_its_facts(folder: Path) -> None:
    found = check(folder)
    assert said(found) == []
    assert set(found.images) == set(found.listed) == set(NAMES)
    facts = found.images["t1"]
    assert (facts.file, facts.shape, facts.spacing) == (folder / "P0_t1.nii.gz", SHAPE, (4.0, 4.0, 4.0))
    assert (facts.orientation, facts.background) == ("LPS", 0)
    assert facts.low < facts.median < facts.high <= facts.top
    assert facts.digest != found.images["flair"].digest
    labels = np.asarray(nib.load(folder / "P0_seg.nii.gz").dataobj)
    assert found.labels == {2: int((labels == 2).sum())}
    brain = np.asarray(nib.load(folder / "P0_t1.nii.gz").dataobj) > 0
    assert found.brain == pytest.approx(brain.sum() * 4**3 / 1000), "ml"
    assert found.thumbnail is not None
    assert found.thumbnail.shape[0] == 96


def test_a_damaged_image_hides_no_other(folder: Path) -> None:
    (folder / "P0_t1.nii.gz").write_bytes(b"")
    found = check(folder)
    (line,) = said(found)
    assert line.startswith("error: t1: this image cannot be read")
    assert set(found.images) == set(NAMES) - {"t1"}
    assert set(found.listed) == set(NAMES)


@pytest.mark.parametrize("labels", ["empty", "outside", "damaged", "mirrored"])
def test_what_is_wrong_with_labels(folder: Path, labels: str) -> None:
    path = folder / "P0_seg.nii.gz"
    if labels == "empty":
        change(path, lambda v: 0 * v)
    elif labels == "outside":
        change(path, lambda v: np.roll(v, 14, axis=0))
    elif labels == "damaged":
        path.write_bytes(b"")
    else:
        change(path, lambda v: v[::-1])
    expected = {
        "empty": "warning: the segmentation is empty",
        "outside": "of the labeled voxels lie outside the brain",
        "damaged": "error: seg: this image cannot be read",
        "mirrored": "warning: flair is brighter in the mirror image of the labels",
    }[labels]
    assert any(expected in line for line in said(check(folder))), said(check(folder))


def test_other_grids_are_resampled_onto_one_that_is_named(folder: Path) -> None:
    change(folder / "P0_flair.nii.gz", lambda v: v[::2, ::2, ::2], spacing=8.0)
    assert any(line.startswith("error: flair") for line in said(check(folder)))
    assert not any(line.startswith("error") for line in said(check(folder, onto="t1")))
    (folder / "P0_t1.nii.gz").unlink()
    assert "error: there is no 't1' image to resample the others to" in said(check(folder, onto="t1"))


def test_nothing_readable_is_no_thumbnail(tmp_path: Path) -> None:
    for name in NAMES:
        save(tmp_path / "P1" / f"P1_{name}.nii.gz", np.zeros((2, 2)))
        (tmp_path / "P1" / f"P1_{name}.nii.gz").write_bytes(b"")
    found = check(tmp_path / "P1")
    assert len(found.findings) == len(NAMES)
    assert found.thumbnail is None
    assert np.isnan(found.brain)
