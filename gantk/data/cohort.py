"""Which subject plays which role: a split by patient, written down and hashed."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gantk.data.draw import drawn
from gantk.data.volumes import Subject
from gantk.errors import DataError, nearest
from gantk.files import atomic_write

__all__ = ["ROLES", "Split", "by_target", "check_modality", "complete", "split_cohort"]

ROLES = ("paired", "unpaired", "target", "validation", "test")
_HELD_OUT = ("validation", "test")
_PARTS = ("training", *_HELD_OUT)


@dataclass(frozen=True)
class Split:
    """Subjects by role, each in exactly one, all of a patient's in one part; ids are kept sorted.

    Where nothing is held out, validation and test are all subjects that train.

    Attributes:
        paired: train with inputs and targets.
        unpaired: train with inputs alone.
        validation: are looked at after an epoch.
        test: are measured at the end.
        target: train with targets alone.
        owners: the patient of each subject that is one of a patient's; all others are patients themselves.
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
            raise DataError(f"{twice!r} appears twice in the split", mend="Give each subject one role")
        object.__setattr__(self, "owners", {name: self.owners[name] for name in ids if self.patient(name) != name})
        parts = [] if self.on_training else [self._trained, self.validation, self.test]
        several = [patient for part in parts for patient in self.patients_of(part)]
        if len(set(several)) != len(several):
            twice = next(name for name in several if several.count(name) > 1)
            raise DataError(
                f"patient {twice!r} is in several parts of the split",
                mend="Put all subjects of a patient into one of training, validation and test",
            )

    @property
    def on_training(self) -> bool:
        """Whether nothing is held out: what is validated and tested is what is trained on."""
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
        """Paired and unpaired subjects: those whose inputs are trained on."""
        return tuple(sorted(self.paired + self.unpaired))

    def patient(self, subject: str) -> str:
        """Whose a subject is."""
        return self.owners.get(subject, subject)

    def patients_of(self, subjects: Iterable[str]) -> tuple[str, ...]:
        """Whose some subjects are, each once, sorted."""
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
        """Write the columns patient, role, and subject where some are not patients themselves; atomic."""
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
            DataError: the file cannot be read, lacks a column, holds an unknown role or a subject twice.
        """
        subjects: dict[str, list[str]] = {role: [] for role in ROLES}
        owners: dict[str, str] = {}
        try:
            with Path(path).open(newline="", encoding="utf-8") as handle:
                for row in csv.DictReader(handle):
                    patient, role = row.get("patient"), row.get("role")
                    if not patient or not role:
                        raise DataError("a split has the columns patient and role", where=path, why=f"a row is {row}")
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


def check_modality(subjects: Sequence[Subject], name: str, key: str, noun: str = "patient") -> None:
    """Whether any subject has an image of this name, which a key of the recipe says.

    Raises:
        DataError: none has.
    """
    if subjects and not any(name in subject.files for subject in subjects):
        known = {modality for subject in subjects for modality in subject.files}
        raise DataError(
            f"no {noun} has a {name!r} image",
            where=key,
            why=nearest(name, known),
            mend="Correct the name in the recipe",
        )


def complete(subjects: Sequence[Subject], inputs: Sequence[str], targets: Sequence[str]) -> list[Subject]:
    """The subjects that have all inputs, or nothing but targets.

    Args:
        subjects: of a dataset.
        inputs: modalities that all need but those with targets alone.
        targets: modalities to be synthesized.
    """
    alone = set(targets) - set(inputs)
    return [s for s in subjects if set(inputs) <= s.files.keys() or (s.files and s.files.keys() <= alone)]


def by_target(
    subjects: Sequence[Subject],
    inputs: Sequence[str],
    targets: Sequence[str],
    noun: str = "patient",
    *,
    incomplete: bool = False,
) -> tuple[list[str], list[str], list[str]]:
    """Ids of the subjects with inputs and all targets, with inputs alone, and with nothing but targets.

    Args:
        subjects: of a dataset.
        inputs: modalities that all need but those with targets alone.
        targets: modalities to be synthesized.
        noun: what errors call a subject.
        incomplete: whether one input will do, and two of the targets where all are inputs.

    Raises:
        DataError: a subject has some inputs and lacks others, or none has the targets.
    """
    for name in (*inputs, *targets):
        check_modality(subjects, name, "data.inputs" if name in inputs else "data.target", noun)
    if incomplete:
        return _by_what_is_there(subjects, inputs, targets, noun)
    both: list[str] = []
    sources: list[str] = []
    alone: list[str] = []
    for subject in subjects:
        complete = all(name in subject.files for name in targets)
        if complete and inputs and set(subject.files) <= set(targets) - set(inputs):
            alone.append(subject.id)
            continue
        for name in inputs:
            if name not in subject.files:
                raise DataError(
                    f"{noun} {subject.id!r} has no {name!r} image",
                    where=next((file.parent for file in subject.files.values()), None),
                    why=f"it has {', '.join(sorted(subject.files)) or 'none'}; all inputs are needed",
                    mend=f'Add the file; to leave such {noun}s out, set data.incomplete = "skip"; for a method that '
                    "was made to do without inputs, data.incomplete = true",
                )
        (both if complete else sources).append(subject.id)
    if not both and not alone:
        raise _no_target(targets, noun)
    return sorted(both), sorted(sources), sorted(alone)


def _by_what_is_there(
    subjects: Sequence[Subject], inputs: Sequence[str], targets: Sequence[str], noun: str
) -> tuple[list[str], list[str], list[str]]:
    """As `by_target`, of subjects that may lack inputs."""
    both: list[str] = []
    sources: list[str] = []
    alone: list[str] = []
    for subject in subjects:
        there = set(subject.files)
        having = there & set(targets)
        # where inputs are targets, one of them can be made of another
        complete = having == set(targets) if inputs else len(having) > 1
        if there & set(inputs or targets):
            (both if complete else sources).append(subject.id)
        elif complete:
            alone.append(subject.id)
        else:
            raise DataError(
                f"{noun} {subject.id!r} has no image that the recipe names",
                where=subject.folder,
                why=f"it has {', '.join(sorted(there)) or 'none'}",
                mend=f"Leave the {noun} out",
            )
    if not both and not alone:
        raise _no_target(targets, noun)
    return sorted(both), sorted(sources), sorted(alone)


def _no_target(targets: Sequence[str], noun: str) -> DataError:
    return DataError(
        f"no {noun} has the target {', '.join(targets)}",
        mend=f"Correct data.target in the recipe, or add {noun}s with it; where targets are inputs, too, and the "
        f"method can do without, let {noun}s lack some with data.incomplete = true",
    )


def split_cohort(
    with_target: Sequence[str],
    without_target: Sequence[str],
    only_target: Sequence[str] = (),
    *,
    parts: Mapping[str, str] | None = None,
    owners: Mapping[str, str] | None = None,
    strata: Mapping[str, str] | None = None,
    ratio: tuple[float, float, float] | None = (7, 1, 2),
    seed: int,
    paired_fraction: float,
    noun: str = "patient",
) -> Split:
    """Split by patient into training, validation and test, and training into paired and unpaired.

    A pure function of the set of ids, the parts, the patients, the ratio, the seed and the fraction. A larger fraction
    contains the smaller one's paired patients; a fraction above 0 has at least one.

    Where the dataset puts a subject in a part, there its patient stays; validation or test that it leaves empty is
    taken from the training patients. Where no subject has inputs and target, those with one of them are split, each by
    itself. All subjects of one patient are in one part, whatever images they have. Without a ratio nothing is held out:
    all subjects train, whatever the parts, and are validated and tested.

    Args:
        with_target: subjects with the target, which are split.
        without_target: subjects without it, which join the unpaired training subjects.
        only_target: subjects with the target alone, which train as targets.
        parts: `training`, `validation` or `test`, of the subjects that the dataset puts there.
        owners: the patient of each subject; a subject that is not named is a patient itself.
        strata: the stratum of each patient, such as a site, of which all parts have about the same share.
        ratio: training : validation : test; None holds nothing out.
        seed: of the permutation.
        paired_fraction: part of the training patients with target that is paired, [0, 1].
        noun: what errors call a subject.

    Raises:
        DataError: too few patients for the ratio, a subject twice, a patient in several parts, or a fraction outside
            [0, 1].
    """
    owners = owners or {}
    if not 0 <= paired_fraction <= 1:
        raise DataError(f"the paired fraction is {paired_fraction:g}", mend="Choose one from 0 to 1")
    if ratio is None:
        everything = split_cohort(
            with_target,
            without_target,
            only_target,
            owners=owners,
            strata=strata,
            ratio=(1, 0, 0),
            seed=seed,
            paired_fraction=paired_fraction,
        )
        return everything.without_held_out()
    if min(ratio) < 0 or ratio[0] == 0:
        raise DataError(f"the split ratio is {ratio}", mend="Choose training : validation : test such as 7 : 1 : 2")
    given = _of_patients(parts or {}, owners)
    spare = (1, 0, 0) if with_target else ratio  # subjects that cannot be measured train, where others can
    placed: dict[str, str] = {}
    training: list[str] = []  # patients with target, in the order in which they become paired
    for subjects, shares in ((with_target, ratio), (without_target, spare), (only_target, spare)):
        patients = {owners.get(name, name) for name in subjects}
        drawn = _divide(patients, placed, given, shares, seed, strata, noun)
        training = training or list(drawn[0] if subjects is with_target else ())
        placed |= {patient: part for part, those in zip(_PARTS, drawn, strict=True) for patient in those}
    count = max(1, _share(len(training), paired_fraction)) if training and paired_fraction > 0 else 0
    paired = set(training[:count])

    def of(part: str, subjects: Iterable[str]) -> list[str]:
        return [name for name in subjects if placed[owners.get(name, name)] == part]

    trained = of("training", with_target)
    everyone = (*with_target, *without_target, *only_target)
    return Split(
        paired=tuple(name for name in trained if owners.get(name, name) in paired),
        unpaired=(
            *(name for name in trained if owners.get(name, name) not in paired),
            *of("training", without_target),
        ),
        target=tuple(of("training", only_target)),
        validation=tuple(of("validation", everyone)),
        test=tuple(of("test", everyone)),
        owners={name: owners.get(name, name) for name in everyone},
    )


def _of_patients(parts: Mapping[str, str], owners: Mapping[str, str]) -> dict[str, str]:
    """The part of each patient of whom the dataset says it.

    Raises:
        DataError: it says several.
    """
    found: dict[str, str] = {}
    for subject, part in sorted(parts.items()):
        patient = owners.get(subject, subject)
        if found.setdefault(patient, part) != part:
            raise DataError(
                f"patient {patient!r} is in two parts of the data set, {found[patient]} and {part}",
                why="networks would be measured on patients that they were trained on",
                mend="Put all images of a patient into one part",
            )
    return found


def _divide(
    patients: Collection[str],
    placed: Mapping[str, str],
    parts: Mapping[str, str],
    ratio: tuple[float, float, float],
    seed: int,
    strata: Mapping[str, str] | None,
    noun: str,
) -> tuple[list[str], list[str], list[str]]:
    """Training, validation and test patients of one kind of subjects, in the seed's order where it is drawn.

    Those that other kinds have placed stay where they are.
    """
    ids = sorted(patients)
    given = {part: [name for name in ids if placed.get(name, parts.get(name)) == part] for part in _HELD_OUT}
    kept = [name for name in ids if placed.get(name) == "training"]
    free = [name for name in ids if name not in placed and parts.get(name) not in _HELD_OUT]
    wanted = [0.0 if given[part] else share for part, share in zip(_HELD_OUT, ratio[1:], strict=True)]
    needed = 1 + sum(share > 0 for share in wanted)
    if not placed.keys() >= set(ids) and len(kept) + len(free) < needed:
        left = " : ".join(f"{share:g}" for share in (ratio[0], *wanted))
        raise DataError(
            f"a split {left} needs at least {needed} {noun}s",
            why=f"the cohort has {len(kept) + len(free)}",
            mend=f"Add {noun}s, correct data.root or data.target in the recipe, or train and measure on the same "
            f'{noun}s with data.split = "none"',
        )
    validation, test = (max(1, _share(len(free), share / sum(ratio))) if ids and share else 0 for share in wanted)
    while validation + test >= max(len(free), 1):  # at least one subject trains
        validation, test = (validation - 1, test) if validation > test else (validation, test - 1)
    shuffled = drawn(free, seed, strata)
    return (
        [*kept, *shuffled[validation + test :]],
        given["validation"] or shuffled[:validation],
        given["test"] or shuffled[validation : validation + test],
    )


def _share(count: int, fraction: float) -> int:
    return int(count * fraction + 0.5)
