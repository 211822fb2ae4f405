"""The dataset `phantom`: the embedded synthetic cohort, written once and read as BraTS."""

from __future__ import annotations

from filelock import FileLock

from gantk.data.brats import Brats
from gantk.data.cache import cache_error, gantk_cache_dir
from gantk.data.volumes import Subject
from gantk.errors import CacheError
from gantk.files import atomic_folder
from gantk.progress import Progress

__all__ = ["Phantom"]


class Phantom(Brats):
    """Synthetic glioma patients on real anatomy: needs no data, gives the same patients everywhere.

    Args:
        subjects: number of patients.
        voxel: voxel size in mm.
        cohort_seed: seed of the cohort; another seed gives other patients.
    """

    def __init__(self, subjects: int = 60, voxel: float = 2.0, cohort_seed: int = 0) -> None:
        self.count, self.voxel, self.cohort_seed = subjects, voxel, cohort_seed
        super().__init__(
            gantk_cache_dir() / "phantom" / f"{subjects}-patients-{voxel:g}mm-seed-{cohort_seed}"
        )

    def subjects(self, progress: Progress) -> list[Subject]:
        """All patients sorted by id; writes them to the cache first where they are not there yet.

        Raises:
            CacheError: the cache cannot be written, or its copy of the cohort is incomplete.
        """
        if not self.root.is_dir():
            self._write(progress)
        subjects = super().subjects(progress)
        if len(subjects) != self.count:
            raise CacheError(
                f"this copy of the phantom cohort holds {len(subjects)} patients where {self.count} are expected",
                where=self.root,
                mend="Delete the folder, it is made again",
            )
        return subjects

    def _write(self, progress: Progress) -> None:
        from gantk.data.phantom import write_phantom  # nilearn and scipy, slow to import

        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.root}.lock"):
                if not self.root.is_dir():  # another process may have been faster
                    with atomic_folder(self.root) as folder:
                        write_phantom(folder, self.count, self.voxel, self.cohort_seed, progress)
        except OSError as error:
            raise cache_error(error, self.root.parent) from error
