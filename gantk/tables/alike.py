"""Comparability of runs: whether their test parts and settings agree, and what else differs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantk.evaluation.results import Evaluation
from gantk.runs.files import RunFiles

if TYPE_CHECKING:
    from gantk.data.split import Split

__all__ = ["alike", "differences", "other_training", "splits_of"]

#: Relative tolerance: scales and areas of one patient's images differ by less between different inputs.
ALIKE = 0.05


#: Recipe keys and tables that do not change the results of a method.
SILENT = ("name", "description", "tracking", "evaluation.baselines", "evaluation.roles")


def splits_of(found: Mapping[str, Evaluation], folders: Mapping[str, Path]) -> dict[str, Split]:
    """The splits of evaluated runs by name; empty unless every split is known and matches its evaluation."""
    splits = {name: RunFiles(folder).split() for name, folder in folders.items()}
    known = {name: split for name, split in splits.items() if split is not None and split.hash == found[name].split}
    return known if len(known) == len(splits) else {}


def other_training(splits: Mapping[str, Split]) -> Iterator[str]:
    """One sentence on the training patients of runs with the same test part, if these patients differ."""
    hashes = {name: split.hash for name, split in splits.items()}
    if len(set(hashes.values())) > 1:
        shown = {name: f"{len(s.paired)} paired and {len(s.unpaired)} unpaired" for name, s in splits.items()}
        shown = {name: f"{said} (split {hashes[name]})" for name, said in shown.items()}
        yield f"The runs were not trained on the same patients: {_grouped(splits, hashes, shown)}"


def differences(
    found: Mapping[str, Evaluation],
    known: Mapping[str, Split] | None = None,
    folds: Mapping[str, int | None] | None = None,
) -> Iterator[str]:
    """The reasons why evaluations cannot be compared, one phrase each.

    Args:
        found: the evaluations by display name.
        known: their splits by the same names; with them only the test part must be equal, without them the hash.
        folds: the fold that each run tests; only runs of one fold must hold out the same patients.
    """
    splits: dict[str, object] = {name: evaluation.split for name, evaluation in found.items()}
    by_part = bool(known) and len(set(splits.values())) > 1
    if known and by_part:
        splits = {name: (split.test, split.on_training) for name, split in known.items()}
    settings = {name: evaluation.settings for name, evaluation in found.items()}
    groups = [{name: found[name] for name in group} for group in alike(found, folds or {})]
    same_split = [group for group in groups if len({splits[name] for name in group}) == 1]
    for group in groups:
        if group not in same_split and known and by_part:
            counts = {n: f"{len(known[n].test)} {found[n].subjects.plural} of split {found[n].split}" for n in group}
            yield f"different test {next(iter(group.values())).subjects.plural} ({_grouped(group, splits, counts)})"
        elif group not in same_split:
            yield f"different split ({_grouped(group, splits, {n: e.split for n, e in group.items()})})"
    if len(set(settings.values())) > 1:
        yield f"different evaluation settings ({_grouped(found, settings, settings)})"
    for group in same_split:
        patients = {n: frozenset((row.patient, row.subject) for row in e.rows) for n, e in group.items()}
        if len(set(patients.values())) > 1:
            plural = next(iter(group.values())).subjects.plural
            counts = {name: f"{len(ids)} {found[name].subjects.plural}" for name, ids in patients.items()}
            yield f"different {plural} of one split ({_grouped(group, patients, counts)})"
    yield from islice(_other_images(found), 1)


def alike(names: Iterable[str], folds: Mapping[str, int | None]) -> list[list[str]]:
    """Groups of runs that must hold out the same patients: one per fold, or all runs if some have no fold."""
    if None in folds.values():
        return [list(names)]
    groups: dict[int | None, list[str]] = {}
    for name in names:
        groups.setdefault(folds.get(name), []).append(name)
    return list(groups.values())


def _other_images(found: Mapping[str, Evaluation]) -> Iterator[str]:
    """Differences between images of patients with the same name: different patients, or a different preparation."""
    known = [(name, evaluation.images) for name, evaluation in found.items() if evaluation.images]
    for name, images in known[1:]:
        first, those = known[0]
        for patient in sorted(images.keys() & those.keys()):
            for what in sorted(images[patient].keys() & those[patient].keys()):
                here, there = images[patient][what], those[patient][what]
                if not math.isclose(here, there, rel_tol=ALIKE):
                    yield f"different images ({what} of {patient} has {there:.4g} in {first}, {here:.4g} in {name})"


def _grouped(names: Mapping[str, Any], values: Mapping[str, object], shown: Mapping[str, str]) -> str:
    groups: dict[object, list[str]] = {}
    for name in names:
        groups.setdefault(values[name], []).append(name)
    return ", ".join(f"{shown[group[0]]} in {_listed(group)}" for group in groups.values())


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:4], f"{len(names) - 4} more"] if len(names) > 4 else list(names)
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 2 else shown)
