"""The dataset `table`: patients that a CSV or TSV file lists, wherever their images are."""

from __future__ import annotations

from pathlib import Path

from gantk.data.cohort_table import read_table
from gantk.data.scans import Resampling, Scans
from gantk.data.volumes import TOLERANCE, Subject
from gantk.progress import Progress
from gantk.ranges import NonNegative

__all__ = ["CohortTable"]


class CohortTable(Scans):
    """Patients of a CSV or TSV file: `patient,t1,t2,flair,t1ce,seg,part,fold,site`, one row each.

    A column that names NIfTI files, relative to the table's folder, is a modality; a file `X.nii.gz#0` is the first
    volume of several in it. An empty cell means that the file does not exist. `subject` or `visit` tells several rows
    of one patient apart;
    `part` (training, validation, test) and `fold` (0, 1, …) fix the split; other columns are facts by which
    `data.split.stratify` can balance it. `gantk data table` writes such a file from a folder.

    Args:
        file: the table.
        tolerance: how far the grids of a patient's images may lie apart, as a part of a voxel; the first one counts.
        resample: `to:t1` resamples images that lie further apart onto the grid of t1, linearly, label maps by the
            nearest voxel; they are refused where absent.
    """

    def __init__(self, file: Path, tolerance: NonNegative = TOLERANCE, resample: Resampling | None = None) -> None:
        super().__init__(tolerance, resample)
        self.file = Path(file).expanduser()

    def subjects(self, progress: Progress) -> list[Subject]:
        """All subjects sorted by id; a file that stands for two patients is told in a note.

        Raises:
            DataError: the table cannot be read or understood, or names files that do not exist.
        """
        found = read_table(self.file)
        owners: dict[Path, str] = {}
        for subject in found:
            for name, file in subject.files.items():
                other = owners.setdefault(file, subject.patient)
                if other != subject.patient:
                    progress.note(f"{file} is the {name!r} image of two patients, {other!r} and {subject.patient!r}")
        patients = len({subject.patient for subject in found})
        visits = f" with {len(found)} visits" if len(found) > patients else ""
        progress.note(f"{patients} patients{visits} in {self.file}")
        return found
