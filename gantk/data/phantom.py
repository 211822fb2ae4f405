"""The dataset `phantom`: the built-in synthetic cohort, written once and read in the BraTS layout."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gantk.data.brats import Brats
from gantk.data.cache import cache_error, gantk_cache_dir
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.phantom.write import MODALITIES, VERSION, damaged_subjects, subject_id, write_phantom
from gantk.progress import Progress
from gantk.ranges import Count, Whole

__all__ = ["Phantom"]

Voxel = Annotated[float, Field(ge=0.5, le=8)]
Subjects = Annotated[Count, Field(le=10_000)]


class Phantom(Brats):
    """Synthetic glioma patients on real anatomy: needs no data and produces the same patients on every machine.

    Args:
        subjects: number of patients, at most 10 000.
        voxel: voxel size in mm.
        cohort_seed: seed of the cohort; another seed gives other patients.
    """

    def __init__(self, subjects: Subjects = 100, voxel: Voxel = 2.0, cohort_seed: Whole = 0) -> None:
        self.count, self.voxel, self.cohort_seed = subjects, voxel, cohort_seed
        # a patient does not depend on the number of patients, so cohorts of all sizes share the folder
        super().__init__(gantk_cache_dir() / "phantom" / f"v{VERSION}-{voxel:g}mm-seed-{cohort_seed}")

    def subjects(self, progress: Progress) -> list[Subject]:
        """All patients sorted by id, whether or not they are in the cache yet; see `make`."""
        ids = sorted(subject_id(index) for index in range(self.count))
        return [_subject(self.root / name) for name in ids]

    def make(self, progress: Progress) -> None:
        """Write the patients that are missing from the cache, and rewrite damaged ones.

        Raises:
            UsageError: a parameter is out of range.
            CacheError: the cache cannot be read or written.
        """
        try:
            for folder in damaged_subjects(self.root, self.count, self.voxel, self.cohort_seed):
                progress.note(f"{folder} is damaged and will be rebuilt")
                shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
            write_phantom(self.root, self.count, self.voxel, self.cohort_seed, progress)
        except OSError as error:
            raise cache_error(error, self.root) from error
        except DataError as error:
            if isinstance(error.__cause__, OSError):
                raise cache_error(error.__cause__, self.root) from error
            raise


def _subject(folder: Path) -> Subject:
    """A patient as `write_phantom` writes it."""
    files = {name: folder / f"{folder.name}_{name}.nii.gz" for name in MODALITIES}
    return Subject(folder.name, files, folder / f"{folder.name}_seg.nii.gz")
