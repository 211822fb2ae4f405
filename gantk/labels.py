"""The labels of tumors in batches, and in the files of phantom patients: BraTS's of 2017 to 2021."""

from __future__ import annotations

__all__ = ["CORE", "EDEMA", "ENHANCING", "REGIONS"]

CORE, EDEMA, ENHANCING = 1, 2, 4  # core that does not enhance, tumor beyond the core, enhancing tumor
REGIONS = {"tumour": (CORE, EDEMA, ENHANCING), "tc": (CORE, ENHANCING), "et": (ENHANCING,)}
"""Nested regions of the tumor and the labels that belong to each."""
