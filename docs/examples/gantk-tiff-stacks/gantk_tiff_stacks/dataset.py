"""The dataset: a folder of specimens, and a table of their labels."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

import gantk
from gantk_tiff_stacks.stack import Stack


class TiffStacks:
    """Specimens under a microscope: `ROOT/SPECIMEN/CHANNEL.tif`, stacks of 16 bits, and `ROOT/labels.csv`.

    The table has the column `specimen` and an optional column `patient`; every other column is a label, which recipes
    can give to networks (`[data.extra.NAME]`). Every page of a stack is a slice. Source: the TIFF specification,
    revision 6.0 (Adobe, 1992).

    Args:
        root: the folder.
    """

    noun = "specimen"
    writes = (".tif", ".tiff")

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def subjects(self, progress: gantk.Progress) -> list[gantk.Subject]:
        labels = self._labels()
        found = [self._subject(folder, labels) for folder in sorted(self.root.glob("*")) if folder.is_dir()]
        found = [subject for subject in found if subject.files]
        if not found:
            raise gantk.DataError("this folder holds no specimen", where=self.root, mend="correct data.root")
        return found

    def subject_at(self, path: Path, modalities: Sequence[str]) -> gantk.Subject:
        """One specimen by its folder, for `gantk predict`, with its labels from the table."""
        subject = self._subject(path, self._labels())
        for name in modalities:
            if name not in subject.files:
                raise gantk.DataError(f"there is no {name}.tif", where=path, mend="add the file")
        return subject

    def read(self, subject: gantk.Subject, modalities: Sequence[str], segmentation: bool = True) -> Stack:
        images = {}
        for name in modalities:
            image = np.atleast_3d(tifffile.imread(subject.files[name]))
            if image.dtype != np.uint16:
                raise gantk.DataError(f"this stack is {image.dtype}, not uint16", where=subject.files[name])
            images[name] = image.astype(np.float32)
        if len({image.shape for image in images.values()}) > 1:
            raise gantk.DataError("the channels of this specimen differ in shape", where=subject.folder)
        return Stack(images)

    def write(self, path: Path, image: np.ndarray, like: Path) -> None:
        """A prediction as a stack."""
        tifffile.imwrite(path, image, photometric="minisblack")

    def _labels(self) -> dict[str, dict[str, str]]:
        table = self.root / "labels.csv"
        if not table.is_file():
            return {}
        with table.open(newline="", encoding="utf-8") as file:
            return {row.pop("specimen"): row for row in csv.DictReader(file)}

    @staticmethod
    def _subject(folder: Path, labels: dict[str, dict[str, str]]) -> gantk.Subject:
        facts = dict(labels.get(folder.name, {}))
        files = {path.stem: path for path in sorted(folder.glob("*.tif"))}
        return gantk.Subject(folder.name, files, patient=facts.pop("patient", ""), facts=facts)
