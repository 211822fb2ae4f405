"""The dataset `table`: patients listed in a CSV or TSV file, with images in any folders."""

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

    A column that names NIfTI files, relative to the table's folder, is a modality; `X.nii.gz#0` is the first of several
    volumes in a file. An empty cell means that the file does not exist. `subject` or `visit` distinguishes several rows
    of one patient; `part` (training, validation, test) and `fold` (0, 1, …) fix the split; other columns are facts by
    which `data.split.stratify` can balance it. `gantk data table` writes such a file from a folder.

    Args:
        file: the table.
        tolerance: largest allowed distance between the grids of a patient's images, as a fraction of a voxel of the
            first image.
        resample: `to:t1` resamples images beyond the tolerance onto the grid of t1: linearly, label maps by nearest
            voxel; default: such images are an error.
    """

    def __init__(self, file: Path, tolerance: NonNegative = TOLERANCE, resample: Resampling | None = None) -> None:
        super().__init__(tolerance, resample)
        self.file = Path(file).expanduser()

    def subjects(self, progress: Progress) -> list[Subject]:
        """All subjects sorted by id; a note reports a file that is listed for two patients.

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
