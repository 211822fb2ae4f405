"""Cross-validation: each patient is in the test set of one fold, and in training or validation in the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gantk.data.draw import drawn
from gantk.data.volumes import Subject
from gantk.errors import DataError, nearest

__all__ = ["parts_in_fold", "strata_of"]


def parts_in_fold(
    subjects: Sequence[str],
    *,
    folds: int,
    fold: int,
    seed: int,
    parts: Mapping[str, str] | None = None,
    given: Mapping[str, int] | None = None,
    owners: Mapping[str, str] | None = None,
    strata: Mapping[str, str] | None = None,
    noun: str = "patient",
) -> dict[str, str]:
    """The parts of the subjects in one fold: those that the dataset assigns, with the fold's patients in `test`.

    A pure function of the arguments. The folds are disjoint and cover all patients that can be tested; the sizes of
    drawn folds differ by at most one patient. If the dataset gives folds, those are used, and a patient without a fold
    is never tested. A patient in the dataset's validation part is not drawn either.

    Args:
        subjects: the subjects that can be tested.
        folds: number of folds.
        fold: the fold to test, from 0.
        seed: seed of the order in which patients are drawn.
        parts: the parts of subjects that the dataset assigns to one.
        given: the folds of subjects that the dataset assigns to one.
        owners: the patient of each subject; a subject that is not listed is its own patient.
        strata: the stratum of each patient; all folds have about the same share of each stratum.
        noun: the word for a subject in errors.

    Raises:
        DataError: the dataset has a test part, assigns a patient to two folds or to a fold that does not exist, or
            there are fewer patients than folds.
    """
    parts, owners = parts or {}, owners or {}
    patients = sorted({owners.get(name, name) for name in subjects})
    if tested := sorted(name for name, part in parts.items() if part == "test"):
        raise DataError(
            f"the data set puts {noun} {tested[0]!r} into the test part, but the folds determine the test part",
            where="data.split.folds",
            mend="leave the part of test patients empty in the table, or omit data.split.folds",
        )
    if given:
        known = _of_patients(given, owners, folds, noun)
        chosen = {name for name in patients if known.get(name) == fold}
    else:
        validated = {owners.get(name, name) for name, part in parts.items() if part == "validation"}
        order = drawn([name for name in patients if name not in validated], seed, strata)
        if len(order) < folds:
            raise DataError(
                f"{folds} folds need at least as many {noun}s with inputs and target",
                where="data.split.folds",
                why=f"the cohort has {len(order)}",
                mend=f"lower data.split.folds, or add {noun}s",
            )
        chosen = set(order[fold * len(order) // folds : (fold + 1) * len(order) // folds])
    if not chosen:
        raise DataError(
            f"no {noun} is in fold {fold}",
            where="data.split.fold",
            mend="correct the column `fold` of the table, which counts from 0, or data.split.folds",
        )
    others = {name: part for name, part in parts.items() if owners.get(name, name) not in chosen}
    return others | {name: "test" for name in subjects if owners.get(name, name) in chosen}


def strata_of(subjects: Sequence[Subject], name: str, noun: str = "patient") -> dict[str, str]:
    """The fact of this name for each patient: from the patient's first subject that has it, else empty.

    Raises:
        DataError: no subject has this fact.
    """
    found: dict[str, str] = {}
    for subject in sorted(subjects, key=lambda subject: subject.id):
        found[subject.patient] = found.get(subject.patient) or subject.facts.get(name, "")
    if not any(found.values()):
        raise DataError(
            f"no {noun} has a {name!r} to stratify by",
            where="data.split.stratify",
            why=nearest(name, {fact for subject in subjects for fact in subject.facts}),
            mend='name a column of the table (dataset = "table") that is neither a modality nor the split',
        )
    return found


def _of_patients(given: Mapping[str, int], owners: Mapping[str, str], folds: int, noun: str) -> dict[str, int]:
    known: dict[str, int] = {}
    for name, fold in sorted(given.items()):
        patient = owners.get(name, name)
        if fold >= folds:
            raise DataError(
                f"the data set puts {noun} {name!r} into fold {fold}",
                where="data.split.folds",
                why=f"the recipe has {folds} folds, which are counted from 0",
                mend=f"set data.split.folds = {max(given.values()) + 1}, or correct the table",
            )
        if known.setdefault(patient, fold) != fold:
            raise DataError(
                f"patient {patient!r} is in two folds of the data set, {known[patient]} and {fold}",
                why="networks would be evaluated on patients of their training set",
                mend="give all rows of a patient one fold",
            )
    return known
