"""Checks of a cohort: all patients in parallel, then compared with one another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gantk.data.check.patient import Finding, PatientCheck, check_patient
from gantk.data.dataset import no_folder
from gantk.data.labels import decide_labels
from gantk.data.members import patients_at
from gantk.data.modalities import in_order
from gantk.data.scans import Scans
from gantk.data.volumes import TOLERANCE, Subject
from gantk.errors import DataError
from gantk.files import write_csv
from gantk.progress import Progress
from gantk.workers import in_processes

__all__ = ["CohortCheck", "check_cohort"]

_FAR = 6.0  # an outlier's distance from the cohort's median, in median absolute deviations
_LEAST = 0.05  # smallest deviation that counts, as a fraction of the median
_SEVERAL = 6  # smallest number of patients among which outliers are looked for
_SHARE = 0.5  # the fraction of a cohort that must share a property for it to be the norm


@dataclass(frozen=True)
class CohortCheck:
    """What was found in a cohort.

    Attributes:
        source: the folder or table.
        patients: in order.
        findings: findings about the cohort as a whole.
    """

    source: Path
    patients: Sequence[PatientCheck]
    findings: tuple[Finding, ...] = ()

    @property
    def modalities(self) -> list[str]:
        """All modalities that any patient has."""
        return in_order({name for patient in self.patients for name in patient.images})

    def count(self, level: str) -> int:
        """The number of findings of a level."""
        every = [*self.findings, *(finding for patient in self.patients for finding in patient.findings)]
        return sum(finding.level == level for finding in every)

    def write(self, path: Path) -> None:
        """Write a CSV with a row for each patient; atomic.

        Raises:
            OSError: the file cannot be written.
        """
        facts = ("low", "median", "high", "top", "background")
        header = ["subject", "patient", "errors", "warnings", "brain_ml", "labels"]
        header += [f"{name}_{fact}" for name in self.modalities for fact in ("shape", "spacing", "orientation", *facts)]
        rows = [header]
        for patient in self.patients:
            told = {level: [f.text for f in patient.findings if f.level == level] for level in ("error", "warning")}
            row = [patient.id, patient.patient, "; ".join(told["error"]), "; ".join(told["warning"])]
            row += [_number(patient.brain), " ".join(f"{label}:{n}" for label, n in patient.labels.items())]
            for name in self.modalities:
                image = patient.images.get(name)
                if image is None:
                    row += [""] * 8
                else:
                    row += ["x".join(map(str, image.shape)), "x".join(f"{size:g}" for size in image.spacing)]
                    row += [image.orientation, *(_number(getattr(image, fact)) for fact in facts)]
            rows.append(row)
        write_csv(path, rows)


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def check_cohort(
    source: Path,
    progress: Progress,
    *,
    tolerance: float = TOLERANCE,
    onto: str | None = None,
    workers: int | None = None,
) -> CohortCheck:
    """Read all files of a cohort once, in parallel.

    Args:
        source: a table (CSV or TSV), a folder of patients, a BIDS data set, or the folder of one patient.
        progress: shows a bar over patients.
        tolerance: largest allowed distance between the grids of one patient, as a fraction of a voxel.
        onto: the modality onto whose grid images beyond the tolerance are resampled, as with `data.resample`.
        workers: processes; default: one per core.

    Raises:
        DataError: no patient is found, or the table cannot be read.
    """
    source = Path(source).expanduser()
    if not source.exists():
        raise no_folder(source, "name a folder of patients, or a table")
    subjects, patients = _listed(source)
    jobs = [(subject, tolerance, onto) for subject in subjects]
    with progress.task("Checking", len(jobs)) as bar:
        for patient in in_processes(check_patient, jobs, workers, progress):
            patients.append(patient)
            bar.advance()
    patients.sort(key=lambda patient: patient.id)
    more = defaultdict(list)
    for name, finding in [*_duplicates(patients), *_outliers(patients), *_unlike(patients)]:
        more[name].append(finding)
    together = [replace(p, findings=(*p.findings, *more.get(p.id, ()))) for p in patients]
    return CohortCheck(source, together, tuple(_labels(patients, subjects)))


def _listed(source: Path) -> tuple[list[Subject], list[PatientCheck]]:
    """The subjects, and the checks of patients that cannot be listed as subjects."""
    subjects: list[Subject] = []
    failed = []
    for case in patients_at(source) or [source]:
        try:
            subjects.append(case if isinstance(case, Subject) else Scans.listed_at(case))
        except DataError as error:
            assert isinstance(case, Path)
            failed.append(PatientCheck(case.name, case.name, (Finding("error", str(error)),)))
    return subjects, failed


def _duplicates(patients: Sequence[PatientCheck]) -> Iterator[tuple[str, Finding]]:
    """Images with the same voxels as another image."""
    seen: dict[str, tuple[PatientCheck, str]] = {}
    for patient in patients:
        for name, image in patient.images.items():
            other, known = seen.setdefault(image.digest, (patient, name))
            if (other.id, known) != (patient.id, name):
                whose = "its own" if other.id == patient.id else f"{other.id}'s"
                visits = other.id != patient.id and other.patient == patient.patient
                said = f"{name} holds the same voxels as {whose} {known}"
                yield patient.id, Finding("warning" if visits else "error", said)


def _outliers(patients: Sequence[PatientCheck]) -> Iterator[tuple[str, Finding]]:
    """Patients far from the others in the size of the brain or in an image's intensities."""
    values: dict[str, dict[str, float]] = {"the brain volume in ml": {p.id: p.brain for p in patients}}
    for name in {name for patient in patients for name in patient.images}:
        having = {p.id: p.images[name] for p in patients if name in p.images}
        if np.median([image.low for image in having.values()]) < 0:  # numbers with the same meaning in all patients
            values[f"{name}: the median inside the brain"] = {
                patient: image.median for patient, image in having.items()
            }
        else:  # brightness, which differs between scanners by an arbitrary factor
            ratios = {patient: image.high / image.median for patient, image in having.items() if image.median}
            values[f"{name}: the ratio of the 99th percentile to the median inside the brain"] = ratios
    for what, by_patient in values.items():
        known = {name: value for name, value in by_patient.items() if np.isfinite(value)}
        if len(known) < _SEVERAL:
            continue
        middle = float(np.median(list(known.values())))
        spread = 1.4826 * float(np.median([abs(value - middle) for value in known.values()]))
        for name, value in known.items():
            if abs(value - middle) > _FAR * max(spread, _LEAST * abs(middle)):
                yield name, Finding("warning", f"{what} is {value:.4g}, but {middle:.4g} in the median patient")


def _unlike(patients: Sequence[PatientCheck]) -> Iterator[tuple[str, Finding]]:
    """Patients whose files have another orientation, voxel size or set of images than most."""
    for what, ask in (
        ("orientation", lambda p: next(iter(p.images.values())).orientation),
        ("voxel size", lambda p: " × ".join(f"{size:.3g}" for size in next(iter(p.images.values())).spacing)),
        ("set of images", lambda p: ", ".join(p.listed)),
    ):
        found: Mapping[str, str] = {p.id: ask(p) for p in patients if p.images}
        (usual, count), *_ = Counter(found.values()).most_common(1) or [("", 0)]
        for name, value in found.items():
            if value != usual and len(found) >= _SEVERAL and count > _SHARE * len(found):
                yield name, Finding("warning", f"the {what} is {value}, but {usual} in most patients")


def _labels(patients: Sequence[PatientCheck], subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Findings if the labels of the cohort do not follow a known convention."""
    files = {subject.id: subject.segmentation for subject in subjects}
    try:
        decide_labels({patient.id: list(patient.labels) for patient in patients}, files=files)
    except DataError as error:
        yield Finding("warning", f"{error.what} ({error.why}). {error.mend}")
