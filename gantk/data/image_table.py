"""The dataset `image_table`: pictures listed in a CSV or TSV file, in any folders."""

from __future__ import annotations

from pathlib import Path

from gantk.data.cohort_table import PICTURES, read_table
from gantk.data.pictures import Mode, Pictures, Size
from gantk.data.volumes import Subject
from gantk.progress import Progress

__all__ = ["ImageTable"]


class ImageTable(Pictures):
    """Pictures of a CSV or TSV file: `patient,stain,fluorescence,part,fold,site`, a row for each subject.

    A column that names PNG, JPEG or TIFF files, relative to the table's folder, is a kind of image under the column's
    name; there may be several inputs. An empty cell means that the file does not exist. `subject` or `visit`
    distinguishes several rows of one patient (or scene); `part` (training, validation, test) and `fold` (0, 1, …) fix
    the split; other columns are facts by which `data.split.stratify` can balance it. Pixel values are interpreted as in
    the dataset `images`.

    Args:
        file: the table.
        mode: `rgb` or `grey`; images are converted to this mode.
        size: height and width to which images are resized, with antialiasing; default: data.crop.
    """

    def __init__(self, file: Path, mode: Mode = "rgb", size: Size | None = None) -> None:
        super().__init__(mode, size)
        self.file = Path(file).expanduser()

    def subjects(self, progress: Progress) -> list[Subject]:
        """All subjects sorted by id.

        Raises:
            DataError: the table cannot be read or understood, or names files that do not exist.
        """
        found = read_table(self.file, PICTURES)
        patients = len({subject.patient for subject in found})
        progress.note(f"{len(found)} images of {patients} patients in {self.file}")
        return found
