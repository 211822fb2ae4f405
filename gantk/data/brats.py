"""The dataset `brats`: patients in the BraTS layout, each in a separate folder."""

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

_RELINK = "make a new folder with differently named links to the patients' folders, and set it as data.root"
_NOTES = 5  # the number of notes shown
_VISITS = r"BraTS-\w+-\d+(?=-\d{3}$)"  # since 2023, the patient's number is followed by the visit's number


class Brats(Scans):
    """Patients in folders `X/X_{t1,t2,flair,t1ce,seg}.nii[.gz]` or `X/X-{t1n,t1c,t2w,t2f,seg}.nii[.gz]`, at any depth.

    The modality is the part of the file name after the folder's name, in lower case; any modality name is accepted. If
    a file is not named after its folder, the modality is the part after the last underscore.

    Args:
        root: folder that contains the patients' folders.
        tolerance: largest allowed distance between the grids of a patient's images, as a fraction of a voxel of the
            first image.
        patient: if folders are visits, a regular expression that matches the patient's part of the folder names from
            the beginning, such as `[^_]+` for `P1_visit2`; default: recognizes the visits of BraTS 2023 and later.
        resample: `to:t1` resamples images beyond the tolerance onto the grid of t1: linearly, label maps by nearest
            voxel; default: such images are an error.
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
        """All patients sorted by id, which is the name of the patient's folder below the root.

        A patient that several paths lead to is listed once. Notes report files that belong to no patient.

        Raises:
            DataError: the root does not exist, cannot be read or contains no patient, two patients have the same id, or
                a folder may contain files of several patients or two files of one modality.
        """
        if not self.root.is_dir():
            raise no_folder(self.root, "correct data.root in the recipe")
        with folder_errors(self.root):
            folders, notes = patient_folders(self.root)
        subjects: dict[str, Subject] = {}
        known: dict[frozenset[object], Subject] = {}  # by files
        for folder in folders:
            subject, more = folder.subject(self.root)
            same = known.setdefault(frozenset(map(_identity, subject.files.values())), subject)
            if same is not subject:
                notes.append(f"{folder.path} holds the files of patient {same.id!r} again and is ignored")
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
                "correct data.root in the recipe",
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
        why = f"the name of the folder is the patient's id; the other folder is {other}"
        if folder.named:
            return DataError(what, where=folder.path, why=why, mend=_RELINK)
        return layout_error(what, folder.path, why, root=self.root)


def _identity(file: Path) -> object:
    """The identity of a file, independent of its name; a broken link is identified by its own path."""
    try:
        status = file.stat()
    except OSError:
        return file
    return status.st_dev, status.st_ino
