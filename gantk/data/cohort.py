"""The roles of subjects: which subjects train on what, and the split by patient."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from gantk.data.draw import drawn
from gantk.data.split import Split
from gantk.data.volumes import Subject
from gantk.errors import DataError, nearest

__all__ = ["by_target", "check_modality", "complete", "split_cohort"]

Kind = Literal["both", "sources", "alone"]
_HELD_OUT = ("validation", "test")
_PARTS = ("training", *_HELD_OUT)


def check_modality(subjects: Sequence[Subject], name: str, key: str, noun: str = "patient") -> None:
    """Check that at least one subject has an image of this name, which a key of the recipe gives.

    Raises:
        DataError: no subject has such an image.
    """
    if subjects and not any(name in subject.files for subject in subjects):
        known = {modality for subject in subjects for modality in subject.files}
        raise DataError(
            f"no {noun} has a {name!r} image",
            where=key,
            why=nearest(name, known),
            mend="correct the name in the recipe",
        )


def complete(subjects: Sequence[Subject], inputs: Sequence[str], targets: Sequence[str]) -> list[Subject]:
    """The subjects that have all inputs, or only targets.

    Args:
        subjects: the subjects of a dataset.
        inputs: modalities that every subject needs, except subjects with only targets.
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
    """Ids of the subjects with inputs and all targets, with only inputs, and with only targets.

    Args:
        subjects: the subjects of a dataset.
        inputs: modalities that every subject needs, except subjects with only targets.
        targets: modalities to be synthesized.
        noun: the word for a subject in errors.
        incomplete: whether one input is enough (two, if the targets are the inputs).

    Raises:
        DataError: a subject has some inputs and lacks others, or no subject has the targets.
    """
    for name in (*inputs, *targets):
        check_modality(subjects, name, "data.inputs" if name in inputs else "data.target", noun)
    found: dict[Kind, list[str]] = {"both": [], "sources": [], "alone": []}
    kind_of = _kind_by_what_is_there if incomplete else _kind
    for subject in subjects:
        found[kind_of(subject, inputs, targets, noun)].append(subject.id)
    if not found["both"] and not found["alone"]:
        raise DataError(
            f"no {noun} has the target {', '.join(targets)}",
            mend=f"correct data.target in the recipe, or add {noun}s with this target; if targets are also inputs and "
            "the method handles missing inputs, set data.incomplete = true",
        )
    return sorted(found["both"]), sorted(found["sources"]), sorted(found["alone"])


def _kind(subject: Subject, inputs: Sequence[str], targets: Sequence[str], noun: str) -> Kind:
    """The kind of a subject that must have all inputs, or only targets."""
    complete = all(name in subject.files for name in targets)
    if complete and inputs and set(subject.files) <= set(targets) - set(inputs):
        return "alone"
    lacking = next((name for name in inputs if name not in subject.files), None)
    if lacking is not None:
        raise DataError(
            f"{noun} {subject.id!r} has no {lacking!r} image",
            where=subject.folder,
            why=f"it has {', '.join(sorted(subject.files)) or 'none'}; all inputs are needed",
            mend=f'add the file; or set data.incomplete = "skip" to leave out such {noun}s, or data.incomplete = true '
            "if the method handles missing inputs",
        )
    return "both" if complete else "sources"


def _kind_by_what_is_there(subject: Subject, inputs: Sequence[str], targets: Sequence[str], noun: str) -> Kind:
    """The kind of a subject that may lack inputs."""
    there = set(subject.files)
    having = there & set(targets)
    # if the targets are the inputs, one can be synthesized from another
    complete = having == set(targets) if inputs else len(having) > 1
    if there & set(inputs or targets):
        return "both" if complete else "sources"
    if complete:
        return "alone"
    raise DataError(
        f"{noun} {subject.id!r} has no image that the recipe names",
        where=subject.folder,
        why=f"it has {', '.join(sorted(there)) or 'none'}",
        mend=f"leave the {noun} out",
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

    A pure function of the set of ids, the parts, the patients, the ratio, the seed and the fraction. The paired
    patients of a larger fraction include those of a smaller one; a fraction above 0 gives at least one paired patient.

    If the dataset assigns a subject to a part, its patient stays there. If it assigns no subject to validation or to
    test, that part is drawn from the training patients. If no subject has both inputs and target, subjects with inputs
    and subjects with targets are split separately. All subjects of one patient are in one part, whatever images they
    have. Without a ratio nothing is held out: all subjects are used for training, validation and test, whatever their
    parts.

    Args:
        with_target: subjects with inputs and target, which are split.
        without_target: subjects without the target, which join the unpaired training subjects.
        only_target: subjects with only the target, which train as targets.
        parts: `training`, `validation` or `test` for each subject that the dataset assigns.
        owners: the patient of each subject; a subject that is not listed is its own patient.
        strata: the stratum of each patient, such as a site; all parts have about the same share of each stratum.
        ratio: training : validation : test; None holds nothing out.
        seed: seed of the permutation.
        paired_fraction: fraction of the training patients with target that are paired, [0, 1].
        noun: the word for a subject in errors.

    Raises:
        DataError: there are too few patients for the ratio, a subject appears twice, a patient is in several parts, or
            the fraction is outside [0, 1].
    """
    owners = owners or {}
    if not 0 <= paired_fraction <= 1:
        raise DataError(f"the paired fraction is {paired_fraction:g}", mend="choose one from 0 to 1")
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
        raise DataError(f"the split ratio is {ratio}", mend="choose training : validation : test, such as 7 : 1 : 2")
    given = _of_patients(parts or {}, owners)
    spare = (1, 0, 0) if with_target else ratio  # subjects that cannot be measured train if others can be measured
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
    """The part of each patient that the dataset assigns.

    Raises:
        DataError: a patient is assigned to several parts.
    """
    found: dict[str, str] = {}
    for subject, part in sorted(parts.items()):
        patient = owners.get(subject, subject)
        if found.setdefault(patient, part) != part:
            raise DataError(
                f"patient {patient!r} is in two parts of the data set, {found[patient]} and {part}",
                why="networks would be evaluated on patients of their training set",
                mend="put all images of a patient into one part",
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
    """Divide the patients of one kind of subjects into training, validation and test, in the order drawn by the seed.

    Patients already placed with another kind of subjects stay in their part.
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
            mend=f"add {noun}s, correct data.root or data.target in the recipe, or train and evaluate on the same "
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
