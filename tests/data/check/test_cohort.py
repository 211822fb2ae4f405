"""`gantk data check`: what is wrong in files is found, and what is right is not complained of."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from gantk.cli.main import app
from gantk.data.check import CohortCheck, check_cohort
from gantk.progress import QuietProgress
from heads import NAMES, change, patient, save


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    for number in range(7):
        patient(tmp_path / "c" / f"P{number}", number)
    return tmp_path / "c"


def check(cohort: Path) -> CohortCheck:
    return check_cohort(cohort, QuietProgress(), workers=1)


def said(found: CohortCheck) -> dict[str, list[str]]:
    return {p.id: [f"{f.level}: {f.text}" for f in p.findings] for p in found.patients if p.findings}


def test_a_good_cohort_is_good(cohort: Path, tmp_path: Path) -> None:
    found = check(cohort)
    assert said(found) == {}
    assert not found.findings
    assert found.patients[0].labels.keys() == {2}
    assert found.patients[0].brain == pytest.approx(np.mean([p.brain for p in found.patients]))
    found.write(tmp_path / "check.csv")
    with (tmp_path / "check.csv").open(newline="") as handle:
        row = next(csv.DictReader(handle))
    assert (row["subject"], row["t1_shape"], row["t1_spacing"]) == ("P0", "36x44x20", "4x4x4")
    assert row["flair_orientation"] == "LPS"
    assert 300 < float(row["t1_median"]) < 450


def test_what_is_wrong_is_found(cohort: Path) -> None:
    cut = cohort / "P0" / "P0_t1.nii.gz"
    cut.write_bytes(cut.read_bytes()[:2000])
    change(cohort / "P1" / "P1_t1ce.nii.gz", lambda v: np.roll(v, 3, axis=1))
    change(cohort / "P2" / "P2_flair.nii.gz", lambda v: v[::-1])
    save(cohort / "P3" / "P3_t1.nii.gz", np.asarray(nib.load(cohort / "P4" / "P4_t1.nii.gz").dataobj))
    change(cohort / "P5" / "P5_seg.nii.gz", lambda v: np.roll(v, 14, axis=0))
    change(cohort / "P6" / "P6_flair.nii.gz", lambda v: v[:-2])
    lines = said(check(cohort))
    assert any("t1: this image cannot be read" in line and line.startswith("error") for line in lines["P0"])
    assert any("t1ce fits t1 better when shifted by 12 mm" in line for line in lines["P1"])
    assert any("mirror image" in line and "flair" in line for line in lines["P2"])
    assert any("error: t1 holds the same voxels as P3's t1" in line for line in lines["P4"])
    assert any("labeled voxels lie outside" in line for line in lines["P5"])
    assert any("flair: this image has the shape" in line and line.startswith("error") for line in lines["P6"])
    assert lines.keys() <= {f"P{number}" for number in range(7)}


def test_images_on_other_grids_are_no_error_where_they_are_resampled(cohort: Path) -> None:
    change(cohort / "P0" / "P0_flair.nii.gz", lambda v: v[::2, ::2, ::2], spacing=8.0)
    assert any("but P0_t1.nii.gz has" in text for text in said(check(cohort))["P0"])
    (cohort / "P1" / "P1_t1.nii.gz").unlink()
    found = said(check_cohort(cohort, QuietProgress(), onto="t1", workers=1))
    assert not any(text.startswith("error") for text in found.get("P0", []))
    assert "error: there is no 't1' image to resample the others to" in found["P1"]


def test_outliers_odd_grids_and_backgrounds(cohort: Path) -> None:
    for name in (*NAMES, "seg"):
        change(cohort / "P1" / f"P1_{name}.nii.gz", lambda v: v, spacing=6.0)
    change(cohort / "P2" / "P2_t1.nii.gz", lambda v: 40 * v)
    change(cohort / "P2" / "P2_t1ce.nii.gz", lambda v: v**4 / 1e8)
    change(cohort / "P3" / "P3_t1.nii.gz", lambda v: np.where(v == 0, -0.25, (v - 360) / 20).astype(np.float32))
    (cohort / "P4" / "P4_t1ce.nii.gz").unlink()
    change(cohort / "P5" / "P5_seg.nii.gz", lambda v: v * 9)
    found = check(cohort)
    lines = said(found)
    assert any("voxel size is 6 × 6 × 6, but 4 × 4 × 4 in most patients" in line for line in lines["P1"])
    assert any("the brain volume" in line for line in lines["P1"])
    assert [line.partition(" is ")[0] for line in lines["P2"]] == [
        "warning: t1ce: the ratio of the 99th percentile to the median inside the brain"
    ]
    assert any("background is the constant -0.25" in line for line in lines["P3"])
    assert any("set of images is t1, flair, but" in line for line in lines["P4"])
    assert "unknown labels: 18" in found.findings[0].text


def test_the_command_writes_a_page_and_fails_where_there_are_errors(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert CliRunner().invoke(app, ["data", "check", str(cohort), "-o", str(out), "--workers", "1"]).exit_code == 0
    page = (out / "check.html").read_text()
    assert page.count("data:image/webp") == 7
    (cohort / "P0" / "P0_t1.nii.gz").write_bytes(b"")
    result = CliRunner().invoke(app, ["data", "check", str(cohort), "-o", str(out), "--workers", "1"])
    assert result.exit_code == 1
    assert "error: P0: t1: this image cannot be read" in result.stdout
    page = (out / "check.html").read_text()
    assert '<p class="message"><strong>Error:</strong> t1: this image cannot be read' in page
    assert "set of images" not in result.stdout  # the file is there
    (cohort / "P2" / "P2_t1.nii.gz").unlink()
    CliRunner().invoke(app, ["data", "check", str(cohort), "-o", str(out), "--workers", "1"])
    page = (out / "check.html").read_text()
    assert '<p class="warning"><strong>Warning:</strong> the set of images is' in page
    assert page.count("the set of images is") == 1
    table = tmp_path / "cohort.csv"
    table.write_text("patient,t1\nA,c/P1/P1_t1.nii.gz\nB,c/gone.nii.gz\n")
    lines = said(check(table))
    assert list(lines) == ["B"]
    assert "does not exist" in lines["B"][0]
