"""DICOM series become NIfTI files where the scanner placed them, and are recognized by what their headers say."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("SimpleITK")
pytest.importorskip("pydicom")

import pydicom
from pydicom.encaps import encapsulate

from dicoms import AXIAL, affine_of, write_series
from gantk.cli.main import app
from gantk.data.cohort_table import read_table
from gantk.data.dicom import cohort
from gantk.data.volumes import read_volumes
from gantk.errors import DataError, UsageError
from gantk.progress import QuietProgress

QUIET = QuietProgress()
SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
OBLIQUE = ((0.96, 0.28, 0.0), (-0.168, 0.576, -0.8))


class Notes(QuietProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 900, (8, 7, 6)).astype(np.uint16)


def record(images: Path) -> dict[str, dict[str, str]]:
    with (images / cohort.SERIES).open(newline="") as handle:
        return {row["description"]: row for row in csv.DictReader(handle)}


@pytest.mark.parametrize("axes", [AXIAL, SAGITTAL, OBLIQUE], ids=["axial", "sagittal", "oblique"])
def test_voxels_lie_where_the_scanner_placed_them(axes, volume, tmp_path):
    write_series(tmp_path / "in", volume, 1, "t1 mprage", axes=axes)
    (subject,) = cohort.dicom(tmp_path / "in", tmp_path / "out", QUIET)
    assert subject.files["t1"] == tmp_path / "out" / "P1" / "P1_t1.nii.gz"
    image = nib.load(subject.files["t1"])
    places = np.argwhere(np.ones(image.shape)) @ image.affine[:3, :3].T + image.affine[:3, 3]
    own = affine_of(axes, (2.0, 1.5, 3.0))  # every voxel of the file holds the number that the scanner had there
    back = (places - own[:3, 3]) @ np.linalg.inv(own[:3, :3]).T
    assert np.abs(back - np.rint(back)).max() < 1e-3
    found = volume[tuple(np.rint(back).astype(int).T)]
    np.testing.assert_array_equal(np.asarray(image.dataobj).ravel(), found)
    assert read_volumes(subject, ["t1"]).images["t1"].size == volume.size


def test_two_studies_of_a_patient_are_visits_and_the_finest_original_series_is_taken(volume, tmp_path):
    for study in (0, 1):
        folder = tmp_path / "in" / str(study)
        write_series(folder / "a", volume, 1, "t1_se_tra", study=study, spacing=(1.0, 1.0, 5.0))
        write_series(folder / "b", volume + 1, 2, "t1_mprage_sag", study=study)
        derived = ["DERIVED", "SECONDARY", "MPR"]
        write_series(folder / "c", volume, 3, "t1 MPR", study=study, spacing=(1, 1, 1), ImageType=derived)
        write_series(folder / "d", volume, 4, "ADC map", study=study)
    write_series(tmp_path / "in", volume + 2, 1, "T2 TSE", patient="X 2/b")
    first, second, third = cohort.dicom(tmp_path / "in", tmp_path / "out", QUIET)
    assert [(s.id, s.patient) for s in (first, second, third)] == [
        ("P1_20200101", "P1"),
        ("P1_20200102", "P1"),
        ("X-2-b", "X-2-b"),
    ]
    assert set(first.files) == {"t1"}
    np.testing.assert_array_equal(
        np.sort(np.asarray(nib.load(first.files["t1"]).dataobj), None), np.sort(volume + 1, None)
    )
    assert {name: first.facts[name] for name in ("sex", "age", "site")} == {"sex": "F", "age": "45", "site": "North"}
    rows = record(tmp_path / "out")
    assert rows["t1_se_tra"]["note"] == rows["t1 MPR"]["note"] == "series 2 is taken"
    assert rows["ADC map"]["note"] == "not recognized"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"lacks": (2,)}, "1 slices are missing"),
        ({"lacks": (1, 2, 3, 4, 5)}, "a single slice"),
        ({"shift": 1.0}, "gantry tilt"),
    ],
)
def test_what_is_no_volume_is_left_out_with_its_reason(change, fault, volume, tmp_path):
    write_series(tmp_path / "in", volume, 1, "t1", **change)
    write_series(tmp_path / "in" / "b", volume, 2, "t2")
    (subject,) = cohort.dicom(tmp_path / "in", tmp_path / "out", QUIET)
    assert set(subject.files) == {"t2"}
    assert fault in record(tmp_path / "out")["t1"]["note"]


def test_a_time_series_is_no_volume_and_two_echoes_are_two(volume, tmp_path):
    for time in range(2):
        write_series(tmp_path / "in" / f"{time}", volume, 1, "t1 dynamic", TemporalPositionIdentifier=time + 1)
        write_series(tmp_path / "in" / f"e{time}", volume + time, 2, "pd t2 tse", EchoTime=20.0 + 60 * time)
    with pytest.raises(DataError, match="none of the series"):
        cohort.dicom(tmp_path / "in", tmp_path / "o", QUIET, ["=pd*"])
    (subject,) = cohort.dicom(tmp_path / "in", tmp_path / "out", QUIET, ["pd=pd*"])
    assert "time series" in record(tmp_path / "out")["t1 dynamic"]["note"]
    assert np.asarray(nib.load(subject.files["pd"]).dataobj).sum() == volume.sum()


def test_numbers_are_those_after_rescaling(volume, tmp_path):
    write_series(tmp_path / "in", volume, 1, "CT head", Modality="CT", RescaleSlope="0.5", RescaleIntercept="-1024")
    (subject,) = cohort.dicom(tmp_path / "in", tmp_path / "out", QUIET)
    image = nib.load(subject.files["ct"])
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.sort(image.get_fdata(), None), np.sort(volume * 0.5 - 1024, None))


def test_a_repeated_call_converts_what_is_not_there_or_of_another_series(volume, tmp_path, monkeypatch):
    for number, words in enumerate(("t1 mprage", "t2 tse", "t2 blade"), 1):
        write_series(tmp_path / "in" / words, volume, number, words)
    done: list[str] = []
    plain = cohort.convert

    def convert(jobs):
        done.extend(series.description for series, _ in jobs)
        return plain(jobs)

    monkeypatch.setattr(cohort, "convert", convert)

    def taken(*patterns: str) -> dict[str, Path]:
        done.clear()
        (subject,) = cohort.dicom(tmp_path / "in", tmp_path / "out", QUIET, patterns)
        return dict(subject.files)

    taken()
    assert sorted(done) == ["t1 mprage", "t2 tse"]
    taken()
    assert done == []
    files = taken("t2=*blade*", "=t2 tse")
    assert done == ["t2 blade"]
    files["t1"].unlink()
    taken("t2=*blade*", "=t2 tse")
    assert done == ["t1 mprage"]


def test_a_series_that_cannot_be_converted_stops_no_other(volume, tmp_path):
    write_series(tmp_path / "in" / "a", volume, 1, "t1 mprage")
    write_series(tmp_path / "in" / "b", volume, 2, "t2 tse")
    for file in (tmp_path / "in" / "a").iterdir():
        damaged = pydicom.dcmread(file)
        damaged.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        damaged.PixelData = encapsulate([b"no JPEG"])
        damaged["PixelData"].is_undefined_length = True
        damaged.save_as(file)
    (subject,) = cohort.dicom(tmp_path / "in", tmp_path / "out", notes := Notes())
    assert set(subject.files) == {"t2"}
    assert record(tmp_path / "out")["t1 mprage"]["note"].startswith("not converted: ")
    assert any("Series 1 of P1 is left out" in text for text in notes.said)
    assert not list((tmp_path / "out").rglob("*t1*"))


def test_a_damaged_file_is_told(volume, tmp_path):
    write_series(tmp_path / "in", volume, 1, "t1")
    first = next((tmp_path / "in").iterdir())
    first.write_bytes(first.read_bytes()[:200])
    with pytest.raises(DataError, match="none of the series"):
        cohort.dicom(tmp_path / "in", tmp_path / "out", notes := Notes(), ["=*"])
    assert any("1 DICOM files are no images" in text and str(first) in text for text in notes.said)


def test_the_command_writes_a_table_that_is_read(volume, tmp_path):
    brain = np.zeros((24, 20, 12), np.uint16)
    brain[6:18, 5:15, 2:10] = 400
    for number, words in enumerate(("t1", "odd name")):
        write_series(tmp_path / "in" / words, brain + number * (brain > 0), number, words)
    out = tmp_path / "cohort.csv"
    command = ["data", "table", str(tmp_path / "in"), "-o", str(out), "--layout", "dicom", "--pattern", "t1ce=odd*"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "t1 1, t1ce 1" in done.output
    (subject,) = read_table(out)
    assert subject.files["t1ce"] == tmp_path / "cohort_images" / "P1" / "P1_t1ce.nii.gz"
    assert subject.facts["site"] == "North"
    assert read_volumes(subject, ["t1", "t1ce"]).images["t1ce"].max() == 401


def test_without_simpleitk_the_mend_is_a_command(monkeypatch, tmp_path):
    monkeypatch.setattr(cohort.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'gantk\[dicom\]'"):
        cohort.dicom(tmp_path, tmp_path / "out", QUIET)


@pytest.mark.parametrize("pattern", ["t1", "t1=", "a b=x"])
def test_a_pattern_that_is_none_is_refused(pattern, tmp_path):
    with pytest.raises(UsageError, match="no pattern of series"):
        cohort.dicom(tmp_path, tmp_path, QUIET, [pattern])


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match="no DICOM image"):
        cohort.dicom(tmp_path, tmp_path / "out", QUIET)
