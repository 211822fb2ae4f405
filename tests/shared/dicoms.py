"""Small DICOM files as scanners write them, for tests."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
ORIGIN = np.array([-10.0, -20.0, -30.0])


def uid(*numbers: int) -> UID:
    """A UID made from these numbers, under the root for tests."""
    return UID(".".join(["1.2.826.0.1.3680043.8.498", *(str(n + 1) for n in numbers)]))


def write_series(
    folder: Path,
    volume: np.ndarray,
    number: int,
    description: str,
    *,
    patient: str = "P1",
    study: int = 0,
    axes: tuple[tuple[float, ...], tuple[float, ...]] = AXIAL,
    spacing: tuple[float, float, float] = (2.0, 1.5, 3.0),
    lacks: tuple[int, ...] = (),
    shift: float = 0.0,
    **tags: Any,
) -> None:
    """Write a volume (columns, rows, slices) as a file per slice, whose names do not tell their order.

    Args:
        folder: where.
        volume: unsigned 16-bit numbers.
        number: of the series.
        description: of the series.
        patient: PatientID.
        study: number of the study.
        axes: the directions of columns and rows, LPS.
        spacing: of columns, rows and slices in mm.
        lacks: slices that are not written.
        shift: how far each slice is moved along the columns, in mm (gantry tilt).
        tags: further elements, by keyword.
    """
    folder.mkdir(parents=True, exist_ok=True)
    along, down = map(np.array, axes)
    normal = np.cross(along, down)
    who = sum(map(ord, patient))
    for k in range(volume.shape[2]):
        if k in lacks:
            continue
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = uid(who, study, number, k)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset(None, pydicom.Dataset(), file_meta=meta, preamble=bytes(128))
        one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        one.Modality, one.Manufacturer, one.ImageType = "MR", "SIEMENS", ["ORIGINAL", "PRIMARY", "M"]
        one.PatientID, one.PatientName, one.PatientSex, one.PatientAge = patient, patient, "F", "045Y"
        one.StudyInstanceUID, one.SeriesInstanceUID = uid(who, study), uid(who, study, number)
        one.FrameOfReferenceUID, one.StudyDate = uid(who, study, 0, 0), f"2020010{study + 1}"
        one.AcquisitionDate, one.AcquisitionTime = one.StudyDate, "101500"
        one.SeriesNumber, one.InstanceNumber, one.AcquisitionNumber = number, k + 1, 1
        one.SeriesDescription, one.InstitutionName, one.PatientPosition = description, "North", "HFS"
        place = ORIGIN + normal * k * spacing[2] + along * k * shift
        one.ImagePositionPatient = [f"{x:.6f}" for x in place]
        one.ImageOrientationPatient = [f"{x:.6f}" for x in (*along, *down)]
        one.PixelSpacing, one.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        pixels = np.ascontiguousarray(volume[:, :, k].T, np.uint16)
        one.Rows, one.Columns = pixels.shape
        one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 0
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.PixelData = pixels.tobytes()
        for name, value in tags.items():
            setattr(one, name, value)
        one.save_as(folder / f"IM{k * 7 % 100:02d}{k}", enforce_file_format=True)


def affine_of(axes: tuple[tuple[float, ...], tuple[float, ...]], spacing: tuple[float, float, float]) -> np.ndarray:
    """The affine from voxels (column, row, slice) to RAS+ mm, by the DICOM standard's equation, C.7.6.2.1.1."""
    along, down = map(np.array, axes)
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = along * spacing[0], down * spacing[1]
    lps[:3, 2], lps[:3, 3] = np.cross(along, down) * spacing[2], ORIGIN
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def record(images: Path) -> dict[str, dict[str, str]]:
    """The rows of `series.csv` by the description of the series."""
    with (images / "series.csv").open(newline="") as handle:
        return {row["description"]: row for row in csv.DictReader(handle)}
