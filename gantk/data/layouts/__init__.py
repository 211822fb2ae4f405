"""Layouts of data sets on disk, each read into subjects for a table: `brats`, `bids`, `msd` and others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from gantk.data.dataset import no_folder
from gantk.data.dicom import dicom
from gantk.data.layouts.bids import bids
from gantk.data.layouts.brats import brats
from gantk.data.layouts.flat import flat
from gantk.data.layouts.msd import msd
from gantk.data.patient_folder import folder_errors
from gantk.data.volumes import Subject
from gantk.errors import DataError, UsageError
from gantk.progress import Progress

__all__ = ["LAYOUTS", "Layout", "find_subjects"]

Layout = Literal["brats", "bids", "msd", "flat", "dicom"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


def find_subjects(
    root: Path, layout: Layout, progress: Progress, patterns: Sequence[str] = (), *, images: Path | None = None
) -> list[Subject]:
    """The subjects of a folder in a layout, sorted by id, with standardized modality names.

    Args:
        root: the data set's folder.
        layout: the layout of its files.
        progress: receives notes on ignored files.
        patterns: for `flat`, patterns of file names, see `gantk.data.layouts.flat.flat`; for `dicom`, patterns of
            series descriptions, see `gantk.data.dicom.dicom`.
        images: for `dicom`, the folder for the NIfTI files.

    Raises:
        UsageError: the layout needs patterns and there are none, or it takes no patterns and there are some.
        DataError: the folder cannot be read, contains no subject in this layout, or two files are the same image.
        OSError: images cannot be written.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise no_folder(root, "name the folder of the data set")
    if patterns and layout not in ("flat", "dicom"):
        raise UsageError(f"the layout {layout!r} takes no pattern", where="--pattern", mend="choose --layout flat")
    if layout == "dicom":
        if images is None:
            raise UsageError("there is no folder for the converted DICOM series", where="images")
        return dicom(root, images, progress, patterns)
    with folder_errors(root):
        if layout == "flat":
            found = flat(root, progress, patterns)
        else:
            found = {"brats": brats, "bids": bids, "msd": msd}[layout](root, progress)
    if not found:
        raise DataError(
            f"this folder holds no patient in the layout {layout!r}",
            where=root,
            mend=f"name another folder, or another layout: {', '.join(LAYOUTS)}",
        )
    return found
