"""Tables of a cohort as a dataset."""

from __future__ import annotations

from pathlib import Path

from gantk.data.table import CohortTable
from told import Told


def test_one_image_of_two_patients_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").touch()
    file = tmp_path / "cohort.csv"
    file.write_text("patient,t1\nA,a.nii.gz\nB,a.nii.gz\n", encoding="utf-8")
    CohortTable(file).subjects(told := Told())
    assert "is the 't1' image of two patients, 'A' and 'B'" in told.notes[0]
