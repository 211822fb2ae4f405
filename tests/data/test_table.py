"""Tables of a cohort as a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.data.table import CohortTable
from gantk.progress import QuietProgress


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def table(root: Path, text: str, name: str = "cohort.csv") -> Path:
    (root / name).write_text(text, encoding="utf-8")
    return root / name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    touch(tmp_path, *(f"img/{n}.nii.gz" for n in ("a1", "a2", "b1", "b2", "c1", "seg")))
    return tmp_path


def test_one_image_of_two_patients_is_told(root):
    class Notes(QuietProgress):
        said = ""

        def note(self, text: str) -> None:
            self.said += text

    file = table(root, "patient,t1\nA,img/a1.nii.gz\nB,img/a1.nii.gz\n")
    CohortTable(file).subjects(notes := Notes())
    assert "is the 't1' image of two patients, 'A' and 'B'" in notes.said
