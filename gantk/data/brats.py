"""The dataset `brats`: patients in the layout of BraTS, each in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from gantk.data.dataset import Pattern, no_folder, with_patient
from gantk.data.patient_folder import EXPECTED, PatientFolder, folder_errors, layout_error, patient_folders
from gantk.data.scans import Resampling, Scans
from gantk.data.volumes import TOLERANCE, Subject
from gantk.errors import DataError
from gantk.progress import Progress
from gantk.ranges import NonNegative

__all__ = ["Brats"]

_RELINK = "make a new folder, in it links of different names to the patients' folders, and name it as data.root"
_NOTES = 5  # that are shown
_VISITS = r"BraTS-\w+-\d+(?=-\d{3}$)"  # since 2023: the number after the patient's is that of the visit


class Brats(Scans):
    """Patients in folders `X/X_{t1,t2,flair,t1ce,seg}.nii[.gz]` or `X/X-{t1n,t1c,t2w,t2f,seg}.nii[.gz]`, at any depth.

    What follows the folder's name in a file's name, in lower case, is the modality; any name will do. In files that
    are not named after their folder it is what follows the last underscore.

    Args:
        root: folder that holds the patients' folders.
        tolerance: how far the grids of a patient's images may lie apart, as a part of a voxel; the first one counts.
        patient: where folders are visits, a regular expression that matches the patient's part of their names from the
            beginning, such as `[^_]+` for `P1_visit2`; recognizes the visits of BraTS 2023 and later.
        resample: `to:t1` resamples images that lie further apart onto the grid of t1, linearly, label maps by the
            nearest voxel; they are refused where absent.
    """

    def __init__(
        self,
        root: Path,
        tolerance: NonNegative = TOLERANCE,
        patient: Pattern = _VISITS,
        resample: Resampling | None = None,
    ) -> None:
        super().__init__(tolerance, resample)
        self.root = Path(root).expanduser()
        self.patient = patient

    def subjects(self, progress: Progress) -> list[Subject]:
        """All patients sorted by id, which is the name of the patient's folder as it is written below the root.

        A patient whom several paths lead to comes once. Files that belong to no patient are told in notes.

        Raises:
            DataError: the root does not exist, cannot be read or holds no patient, two patients have one id, or a
                folder may hold files of several patients or two files of one modality.
        """
        if not self.root.is_dir():
            raise no_folder(self.root, "Correct data.root in the recipe")
        with folder_errors(self.root):
            folders, notes = patient_folders(self.root)
        subjects: dict[str, Subject] = {}
        known: dict[frozenset[object], Subject] = {}  # by files
        for folder in folders:
            subject, more = folder.subject(self.root)
            same = known.setdefault(frozenset(map(_identity, subject.files.values())), subject)
            if same is not subject:
                notes.append(f"{folder.path} holds the files of patient {same.id!r} once more and is ignored")
                continue
            if subject.id in subjects:
                raise self._namesake(folder, next(iter(subjects[subject.id].files.values())).parent)
            subjects[subject.id] = subject
            notes += more
        if not subjects:
            raise layout_error(
                "this folder holds no patient",
                self.root,
                f"{EXPECTED}, at any depth",
                "Correct data.root in the recipe",
            )
        for note in notes[:_NOTES]:
            progress.note(note)
        if len(notes) > _NOTES:
            progress.note(f"… and {len(notes) - _NOTES} more like these")
        found = [with_patient(subjects[name], self.patient) for name in sorted(subjects)]
        patients = len({subject.patient for subject in found})
        visits = f" with {len(found)} visits" if len(found) > patients else ""
        progress.note(f"{patients} patients{visits} in {self.root}")
        return found

    def _namesake(self, folder: PatientFolder, other: Path) -> DataError:
        what = f"two folders hold a patient {folder.path.name!r}"
        why = f"a patient's id is the name of the folder, the other one is {other}"
        if folder.named:
            return DataError(what, where=folder.path, why=why, mend=_RELINK)
        return layout_error(what, folder.path, why, root=self.root)


def _identity(file: Path) -> object:
    """The identity of a file, whatever its name; a broken link is identified by its own path."""
    try:
        status = file.stat()
    except OSError:
        return file
    return status.st_dev, status.st_ino
