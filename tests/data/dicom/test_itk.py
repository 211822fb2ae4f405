"""Files of DICOM become volumes where the scanner placed them, or are told why they cannot."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("SimpleITK")
pytest.importorskip("pydicom")

import pydicom
from pydicom.encaps import encapsulate

from dicoms import AXIAL, affine_of, record, write_series
from gantk.data.dicom import cohort
from gantk.data.volumes import read_volumes
from gantk.errors import DataError
from gantk.progress import QuietProgress
from told import Told

QUIET = QuietProgress()


SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


OBLIQUE = ((0.96, 0.28, 0.0), (-0.168, 0.576, -0.8))


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
    with pytest.raises(DataError, match="no series in this folder"):
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


def test_a_series_that_cannot_be_converted_stops_no_other(volume, tmp_path):
    write_series(tmp_path / "in" / "a", volume, 1, "t1 mprage")
    write_series(tmp_path / "in" / "b", volume, 2, "t2 tse")
    for file in (tmp_path / "in" / "a").iterdir():
        damaged = pydicom.dcmread(file)
        damaged.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        damaged.PixelData = encapsulate([b"no JPEG"])
        damaged["PixelData"].is_undefined_length = True
        damaged.save_as(file)
    (subject,) = cohort.dicom(tmp_path / "in", tmp_path / "out", told := Told())
    assert set(subject.files) == {"t2"}
    assert record(tmp_path / "out")["t1 mprage"]["note"].startswith("not converted: ")
    assert any("Series 1 of P1 is left out" in text for text in told.notes)
    assert not list((tmp_path / "out").rglob("*t1*"))


def test_a_damaged_file_is_told(volume, tmp_path):
    write_series(tmp_path / "in", volume, 1, "t1")
    first = next((tmp_path / "in").iterdir())
    first.write_bytes(first.read_bytes()[:200])
    with pytest.raises(DataError, match="no series in this folder"):
        cohort.dicom(tmp_path / "in", tmp_path / "out", told := Told(), ["=*"])
    assert any("1 DICOM files are not images" in text and str(first) in text for text in told.notes)
