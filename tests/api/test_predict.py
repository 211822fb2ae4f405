"""Prediction of cohorts: folders, tables and BIDS; bad patients, repeated calls, flips, metrics."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import gantk
from gantk.errors import DataError, UsageError
from gantk.progress import QuietProgress
from kills import killed_while_writing, partial
from told import Told

QUIET = QuietProgress()


@pytest.fixture
def three(tmp_path: Path, make_patient: Any) -> Path:
    """Three patients who are in no training data."""
    for number in range(3):
        make_patient(tmp_path / "new" / f"N{number}", seed=50 + number)
    return tmp_path / "new"


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as handle:
        return {row["subject"]: row for row in csv.DictReader(handle)}


def voxels(path: Path) -> np.ndarray:
    return nib.load(path).get_fdata(dtype=np.float32)


def test_a_bad_patient_stops_no_other_and_is_made_when_mended(
    server: Any, model: gantk.Model, run: Path, three: Path, tmp_path: Path
) -> None:
    out, bad = tmp_path / "out", three / "N1" / "N1_t1.nii.gz"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    process = server.start(tmp_path, "predict", run, three, "-o", out)
    assert process.wait() == 1
    assert "N1 is left out" in process.output
    assert "truncated" in process.output
    assert "Traceback" not in process.output
    assert sorted(path.name for path in out.iterdir()) == ["N0_t1ce.nii.gz", "N2_t1ce.nii.gz", "predictions.csv"]
    rows = table(out)
    assert [rows[name]["status"] for name in sorted(rows)] == ["made", "failed", "made"], process.output
    assert "N1_t1.nii.gz" in rows["N1"]["note"]
    assert voxels(out / "N2_t1ce.nii.gz") == pytest.approx(model.predict(three / "N2", progress=QUIET))
    assert 0 < float(rows["N2"]["ssim"]) < 1

    bad.write_bytes(whole)
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    process = server.start(tmp_path, "predict", run, three, "-o", out)
    assert process.wait() == 0, process.output
    again = table(out)
    assert [again[name]["status"] for name in sorted(again)] == ["kept", "made", "kept"]
    assert again["N2"]["ssim"] == rows["N2"]["ssim"]  # known from before
    assert all((out / name).stat().st_mtime_ns == time for name, time in times.items())


def test_what_was_killed_goes_on_where_it_was(server: Any, run: Path, three: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = killed_while_writing("N1_t1ce.nii.gz")
    process = server.start(tmp_path, "predict", run, three, "-o", out, before=before)
    assert process.wait() == -signal.SIGKILL
    assert partial(out)
    made = {path: path.stat().st_mtime_ns for path in out.glob("[!.]*.nii.gz")}
    assert out / "N1_t1ce.nii.gz" not in made
    for path in made:
        voxels(path)  # whole
    process = server.start(tmp_path, "predict", run, three, "-o", out)
    assert process.wait() == 0, process.output
    assert sorted(path.name for path in out.iterdir()) == [*(f"N{n}_t1ce.nii.gz" for n in range(3)), "predictions.csv"]
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_tables_and_files_that_are_not_there(model: gantk.Model, three: Path, tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text(
        "patient,visit,t1,t2\n"
        "A,1,new/N0/N0_t1.nii.gz,new/N0/N0_t2.nii.gz\n"
        "A,2,new/N1/N1_t1.nii.gz,new/gone.nii.gz\n"
        "B,,new/N1/N1_t1.nii.gz,\n"
    )
    result = gantk.predict_cohort(model, path, tmp_path / "out", suffix="-synth", progress=QUIET)
    assert [(row.subject, row.status) for row in result.rows] == [("A_1", "made"), ("A_2", "failed"), ("B", "failed")]
    assert "gone.nii.gz" in result.failed[0].note
    assert "'t2'" in result.failed[1].note
    assert result.rows[0].metrics == {}  # no target
    expected = model.predict(three / "N0", progress=QUIET)
    assert np.array_equal(voxels(tmp_path / "out" / "A_1-synth.nii.gz"), expected)


def test_images_on_other_grids_are_resampled_and_one_who_lacks_an_input_stops_no_other(
    run: Path, three: Path, tmp_path: Path
) -> None:
    model = gantk.load(run, device="cpu")
    model.dataset.resample = "to:t1"  # as data.resample of its recipe
    expected = model.predict(three / "N0", progress=QUIET)
    for number in (0, 1):  # the same image on a grid of twice as many voxels
        file = three / f"N{number}" / f"N{number}_t2.nii.gz"
        image = nib.load(file)
        fine = np.asarray(image.dataobj).repeat(2, axis=0)
        affine = image.affine @ np.diag([0.5, 1, 1, 1])
        affine[:3, 3] -= image.affine[:3, 0] / 4  # the corners of both lie in one place
        nib.save(nib.Nifti1Image(fine, affine), file)
    (three / "N2" / "N2_t1.nii.gz").unlink()
    result = gantk.predict_cohort(model, three, tmp_path / "out", progress=QUIET)
    assert [row.status for row in result.rows] == ["made", "made", "failed"]
    assert "'t1'" in result.failed[0].note
    assert result.rows[0].metrics
    made = nib.load(tmp_path / "out" / "N0_t1ce.nii.gz")
    assert np.array_equal(made.affine, nib.load(three / "N0" / "N0_t1.nii.gz").affine)
    assert voxels(tmp_path / "out" / "N0_t1ce.nii.gz") == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_bids_gives_derivatives(model: gantk.Model, three: Path, tmp_path: Path) -> None:
    names = {"t1": "T1w", "t2": "T2w", "t1ce": "ce-gadolinium_T1w"}
    for number, session in ((0, "ses-a_"), (1, "")):
        anat = tmp_path / "bids" / f"sub-{number}" / session.strip("_") / "anat"
        anat.mkdir(parents=True)
        for name, written in names.items():
            file = three / f"N{number}" / f"N{number}_{name}.nii.gz"
            shutil.copy(file, anat / f"sub-{number}_{session}{written}.nii.gz")
    out = tmp_path / "bids" / "derivatives" / "gantk"
    result = gantk.predict_cohort(model, tmp_path / "bids", out, progress=QUIET)
    files = [
        "sub-0/ses-a/anat/sub-0_ses-a_ce-gadolinium_desc-synthetic_T1w.nii.gz",
        "sub-1/anat/sub-1_ce-gadolinium_desc-synthetic_T1w.nii.gz",
    ]
    assert [row.file for row in result.rows] == files
    assert all(row.metrics for row in result.rows)
    assert json.loads((out / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    again = gantk.predict_cohort(model, tmp_path / "bids", out, progress=QUIET)  # its own files are no input
    assert [(row.status, row.file) for row in again.rows] == [("kept", file) for file in files]


def test_flips_are_averaged(model: gantk.Model, three: Path, tmp_path: Path) -> None:
    mirrored = three / "M0"
    mirrored.mkdir()
    for path in (three / "N0").iterdir():
        image = nib.load(path)
        turned = nib.Nifti1Image(np.asarray(image.dataobj)[::-1], image.affine, image.header)
        nib.save(turned, mirrored / path.name.replace("N0", "M0"))
    plain = model.predict(three / "N0", progress=QUIET)
    averaged = model.predict(three / "N0", flips=True, progress=QUIET)
    other = model.predict(mirrored, flips=True, progress=QUIET)
    assert not np.allclose(plain, averaged, rtol=1e-3)
    assert np.allclose(averaged, other[::-1], rtol=1e-4, atol=1e-2)  # whichever side is which


def test_files_of_another_way_are_told_and_inputs_stay(model: gantk.Model, three: Path, tmp_path: Path) -> None:

    out, told = tmp_path / "out", Told()
    gantk.predict_cohort(model, three, out, role="teacher", progress=QUIET)
    first = voxels(out / "N0_t1ce.nii.gz")
    gantk.predict_cohort(model, three, out, role="student", progress=told)
    assert any("3 of these were made by another run or with other settings" in note for note in told.notes)
    gantk.predict_cohort(model, three, out, role="student", overwrite=True, progress=QUIET)
    assert not np.array_equal(voxels(out / "N0_t1ce.nii.gz"), first)

    before = {path: path.read_bytes() for path in three.rglob("*.nii.gz")}
    for place in (three, three / "made"):
        with pytest.raises(UsageError, match="never replaces a file"):
            gantk.predict_cohort(model, three, place, progress=QUIET)
    with pytest.raises(UsageError, match="did you mean 'student'"):
        gantk.predict_cohort(model, three, tmp_path / "other", role="studnt", progress=QUIET)
    path = three / "cohort.csv"
    path.write_text("patient,t1,t2\nN0,N0/N0_t1.nii.gz,N0/N0_t2.nii.gz\n")
    result = gantk.predict_cohort(model, path, three / "N0", suffix="_t1", overwrite=True, progress=QUIET)
    assert "never replaces a file" in result.failed[0].note
    path.write_text("patient,subject,t1,t2\nN0,a/b,N0/N0_t1.nii.gz,\nN0,a_b,N0/N0_t1.nii.gz,\n")
    with pytest.raises(DataError, match="two subjects"):
        gantk.predict_cohort(model, path, tmp_path / "other", progress=QUIET)
    assert {path: path.read_bytes() for path in three.rglob("N?_t1.nii.gz")}.items() <= before.items()
    assert not (tmp_path / "other").exists()
