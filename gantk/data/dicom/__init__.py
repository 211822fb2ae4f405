"""Import of DICOM series: recognized by their headers, converted to NIfTI and listed as subjects."""

from gantk.data.dicom.cohort import dicom

__all__ = ["dicom"]
