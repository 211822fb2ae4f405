"""A split of a cohort: which subjects are used for training, validation and testing."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gantk.errors import DataError, nearest
from gantk.files import atomic_write

__all__ = ["ROLES", "Split"]

ROLES = ("paired", "unpaired", "target", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Subjects by role: each has exactly one, and all subjects of a patient are in one part; ids are kept sorted.

    If nothing is held out, validation and test contain all training subjects.

    Attributes:
        paired: subjects that train with inputs and targets.
        unpaired: subjects that train with only inputs.
        validation: subjects that are evaluated after an epoch.
        test: subjects that are measured at the end.
        target: subjects that train with only targets.
        owners: the patient of each subject whose id is not the patient's; all others are their own patients.
    """

    paired: tuple[str, ...]
    unpaired: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    target: tuple[str, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role in ROLES:
            object.__setattr__(self, role, tuple(sorted(getattr(self, role))))
        ids = self.subjects
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise DataError(f"{twice!r} appears twice in the split", mend="give each subject one role")
        object.__setattr__(self, "owners", {name: self.owners[name] for name in ids if self.patient(name) != name})
        parts = [] if self.on_training else [self._trained, self.validation, self.test]
        several = [patient for part in parts for patient in self.patients_of(part)]
        if len(set(several)) != len(several):
            twice = next(name for name in several if several.count(name) > 1)
            raise DataError(
                f"patient {twice!r} is in several parts of the split",
                mend="put all subjects of a patient into one of training, validation and test",
            )

    @property
    def on_training(self) -> bool:
        """Whether nothing is held out, so that validation and test use the training subjects."""
        return bool(self.test) and self.validation == self.test == tuple(sorted(self._trained))

    @property
    def _trained(self) -> tuple[str, ...]:
        return self.paired + self.unpaired + self.target

    @property
    def subjects(self) -> tuple[str, ...]:
        """All subjects."""
        return self._trained if self.on_training else self._trained + self.validation + self.test

    @property
    def training(self) -> tuple[str, ...]:
        """Paired and unpaired subjects: all subjects whose inputs are used in training."""
        return tuple(sorted(self.paired + self.unpaired))

    def patient(self, subject: str) -> str:
        """The patient of a subject."""
        return self.owners.get(subject, subject)

    def patients_of(self, subjects: Iterable[str]) -> tuple[str, ...]:
        """The patients of some subjects, each once, sorted."""
        return tuple(sorted({self.patient(subject) for subject in subjects}))

    @property
    def patients(self) -> tuple[str, ...]:
        """All patients, sorted."""
        return self.patients_of(self.subjects)

    @property
    def hash(self) -> str:
        """12 hex digits over the role, id and patient of every subject; equal splits have equal hashes."""
        lines = [f"{role},{subject}\n" for role in ROLES for subject in getattr(self, role)]
        lines += [f"{patient}:{subject}\n" for subject, patient in self.owners.items()]
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {role: list(getattr(self, role)) for role in ROLES} | ({"owners": self.owners} if self.owners else {})

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Split:
        """The split that `to_dict` recorded."""
        return cls(**{role: tuple(record[role]) for role in ROLES}, owners=record.get("owners", {}))

    def to_csv(self, path: Path) -> None:
        """Write the columns patient, role and, if some subjects are not their own patients, subject; atomic."""
        with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            width = 3 if self.owners else 2
            writer.writerow(("patient", "role", "subject")[:width])
            for role in ROLES:
                writer.writerows((self.patient(name), role, name)[:width] for name in getattr(self, role))

    @classmethod
    def from_csv(cls, path: Path) -> Split:
        """The split that `to_csv` wrote.

        Raises:
            DataError: the file cannot be read, lacks a column, or contains an unknown role or a subject twice.
        """
        subjects: dict[str, list[str]] = {role: [] for role in ROLES}
        owners: dict[str, str] = {}
        try:
            with Path(path).open(newline="", encoding="utf-8") as handle:
                for row in csv.DictReader(handle):
                    patient, role = row.get("patient"), row.get("role")
                    if not patient or not role:
                        raise DataError(
                            "a split has the columns patient and role", where=path, why=f"this row is {row}"
                        )
                    if role not in subjects:
                        raise DataError(f"unknown role {role!r}", where=path, why=nearest(role, ROLES))
                    subject = row.get("subject") or patient
                    subjects[role].append(subject)
                    owners[subject] = patient
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError("this split cannot be read", where=path, why=error) from error
        return cls(**{role: tuple(ids) for role, ids in subjects.items()}, owners=owners)

    def without_held_out(self) -> Split:
        """This split with all training subjects in validation and test."""
        return replace(self, validation=self._trained, test=self._trained)
