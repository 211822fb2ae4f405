"""Pooling the folds of a cross-validation: the test patients of all folds, each once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gantk.errors import EvaluationError
from gantk.evaluation.results import Evaluation
from gantk.recipe.dotted import value_at
from gantk.tables.members import FOLD, Member
from gantk.tables.model import identity
from gantk.tables.numbers import listed

__all__ = ["fold_of", "pooled"]

FOLDS = "data.split.folds"
Evaluated = tuple[Member, Evaluation]


def fold_of(member: Member) -> int | None:
    """The fold that a run tests; None for a run without folds."""
    fold = value_at(member.recipe, FOLD)
    return None if fold is None else int(fold)


def pooled(evaluated: Sequence[Evaluated]) -> tuple[list[Evaluated], list[str]]:
    """Merge runs that differ only in their fold, with the test patients of all folds; other runs are unchanged.

    Only folds that all merged runs have are pooled, so that all rows describe the same patients.

    Returns:
        The runs, and notes on them.

    Raises:
        EvaluationError: no fold is common to all, or a patient is tested in two folds.
    """
    groups: dict[str, dict[int, Evaluated]] = {}
    alone = []
    for member, evaluation in evaluated:
        fold = fold_of(member)
        if fold is None:
            alone.append((member, evaluation))
            continue
        changes = {key: value for key, value in member.changes.items() if key != FOLD}
        key = identity([member.sweep, member.variant, changes, member.seed])
        groups.setdefault(key, {})[fold] = (replace(member, changes=changes), evaluation)
    if not groups:
        return alone, []
    every = sorted({fold for found in groups.values() for fold in found})
    common = sorted(set(every).intersection(*groups.values()))
    if not common:
        raise EvaluationError(
            "the runs have no fold in common", mend="finish the same folds for all of them, or name fewer runs"
        )
    total = max(int(value_at(member.recipe, FOLDS) or 0) for found in groups.values() for member, _ in found.values())
    notes = [f"The test patients of folds {listed(common)} of {total} are pooled; each patient counts once"]
    if lacking := sorted({*range(total), *every} - {*common}):
        notes.append(f"Folds {listed(lacking)} are left out because not all rows have them")
    whole = sorted({title for found in groups.values() for fold in common for title in _whole(found[fold][1])})
    if whole:
        notes.append(
            f"{' and '.join(whole)} {'is' if len(whole) == 1 else 'are'} one number for all images of an evaluation, "
            "cannot be pooled over folds and therefore left out; each fold has its own value"
        )
    return alone + [_one([found[fold] for fold in common]) for found in groups.values()], notes


def _whole(evaluation: Evaluation) -> set[str]:
    """The titles of columns with one number for all patients together."""
    names = {name for overall in evaluation.overall.values() for name in overall}
    return {evaluation.columns[name].title for name in names if name in evaluation.columns}


def _one(folds: Sequence[Evaluated]) -> Evaluated:
    """The runs of several folds as one member with the evaluation of all their patients."""
    (member, first), *others = folds
    tested: dict[str, Member] = {}
    for own, evaluation in folds:
        for patient in {row.patient for row in evaluation.rows}:
            other = tested.setdefault(patient, own)
            if other is not own:
                raise EvaluationError(
                    f"patient {patient!r} is tested in two folds",
                    where=own.folder,
                    why=f"the other one is {other.folder}; their splits are not from the same cross-validation",
                    mend="run the folds again with the same cohort, data.split.seed and data.split.folds",
                )
    evaluations = [evaluation for _, evaluation in folds]
    whole = {name for evaluation in evaluations for overall in evaluation.overall.values() for name in overall}
    columns = {name: column for name, column in first.columns.items() if name not in whole}
    evaluation = replace(
        first,
        split=_together(evaluation.split for evaluation in evaluations),
        settings=" and ".join(sorted({evaluation.settings for evaluation in evaluations})),
        columns={n: column for n, column in columns.items() if all(n in other.columns for other in evaluations)},
        rows=[row for evaluation in evaluations for row in evaluation.rows],
        overall={},
        images={name: known for evaluation in evaluations for name, known in evaluation.images.items()},
    )
    return replace(member, others=tuple(other.folder for other, _ in others)), evaluation


def _together(splits: Iterable[str]) -> str:
    found = list(splits)
    return found[0] if len(found) == 1 else hashlib.sha256(",".join(found).encode()).hexdigest()[:12]
