"""A dataset's patients by their file names, and the role of each in the split; no image is read."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gantk.data.cohort import by_target, check_modality, complete, split_cohort
from gantk.data.dataset import Dataset, noun_of
from gantk.data.extra import of_image
from gantk.data.folds import parts_in_fold, strata_of
from gantk.data.sampler import Weighed
from gantk.data.split import Split
from gantk.data.volumes import Subject
from gantk.errors import DataError, PluginError
from gantk.plugins import Registry
from gantk.plugins.blame import blame
from gantk.progress import Progress
from gantk.recipe import Recipe
from gantk.recipe.data import SEGMENTATION, ExtraSettings

__all__ = ["Listing", "list_cohort", "make_dataset", "make_sampler"]

_SHOWN = 8  # number of names of left-out patients in a note


def make_dataset(recipe: Recipe, registry: Registry) -> Dataset:
    """The recipe's dataset component."""
    component = registry.get("dataset", recipe.data.dataset, "data.dataset")
    return component.build(recipe.data.parameters, "data")


def make_sampler(recipe: Recipe, registry: Registry) -> Weighed | None:
    """The recipe's sampler component; None if it has none."""
    said = recipe.data.sampler
    if said is None:
        return None
    component = registry.get("sampler", said.use, "data.sampler.use")
    return Weighed(component.build(said.parameters, "data.sampler"), component.origin)


@dataclass(frozen=True)
class Listing:
    """A dataset's patients by their file names, and the role of each in the split; no image was read."""

    dataset: Dataset
    origin: str
    subjects: Sequence[Subject]
    split: Split
    left_out: tuple[str, ...] = ()  # who lack an input
    sampler: Weighed | None = None

    def measured(self, patients: Sequence[str], recipe: Recipe) -> list[str]:
        """The patients among these who have all measured targets, and an input."""
        files = {subject.id: set(subject.files) for subject in self.subjects}
        inputs, targets = set(recipe.data.inputs), set(recipe.measured)
        return [patient for patient in patients if targets <= files[patient] and inputs & files[patient]]


def list_cohort(recipe: Recipe, registry: Registry, progress: Progress) -> Listing:
    """List and split the patients.

    Raises:
        DataError: they cannot be listed, lack modalities that the recipe names, or are too few.
    """
    data = recipe.data
    dataset = make_dataset(recipe, registry)
    origin = registry.get("dataset", data.dataset, "data.dataset").origin
    with blame(origin, "data.dataset"):
        subjects = dataset.subjects(progress)
    _check_pickles(dataset, origin)
    needed = [name for name in data.inputs if name not in data.targets]  # an input that is a target may be missing
    noun = noun_of(dataset)
    names: list[str] = []
    if data.incomplete == "skip":
        listed, subjects = subjects, complete(subjects, needed, data.targets)
        if names := sorted({subject.id for subject in listed} - {subject.id for subject in subjects}):
            shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            progress.note(f"{len(names)} of {len(listed)} {noun}s lack an input and are left out: {shown}")
    kinds = by_target(subjects, needed, data.targets, noun, incomplete=data.may_lack)
    split = _split(subjects, kinds, recipe, noun, progress)
    if split.on_training:
        progress.note(
            f'All {len(split.subjects)} {noun}s are used for training and for evaluation: data.split is "none"'
        )
    wanted = {} if data.mask is None else {data.mask: "data.mask"}
    wanted |= dict.fromkeys((name for name in data.label_maps if name not in data.inputs), "data.extra")
    for name, where in wanted.items():
        check_modality(subjects, name, where, noun)
        for subject in subjects:
            if name not in subject.files:
                raise DataError(
                    f"{noun} {subject.id!r} has no {name!r} image",
                    where=subject.folder,
                    why=f"{where} names it",
                    mend=f"add the file, or leave the {noun} out",
                )
    for name, extra in data.extra.items():
        _check_extra(name, extra, subjects, noun)
    return Listing(dataset, origin, subjects, split, tuple(names), make_sampler(recipe, registry))


def _check_extra(name: str, extra: ExtraSettings, subjects: Sequence[Subject], noun: str) -> None:
    """Check that the values of `[data.extra]` are known for every subject, as far as this can be checked without
    images."""
    for subject in subjects:
        if extra.per == "image":
            of_image(name, extra, subject.facts, subject.id)
        elif (extra.of or name) == SEGMENTATION and subject.segmentation is None:
            raise DataError(
                f"{noun} {subject.id!r} has no segmentation",
                where=subject.folder,
                why=f"data.extra.{name} is made of it",
                mend=f"add the file, or leave the {noun} out",
            )


def _split(
    subjects: Sequence[Subject],
    kinds: tuple[Sequence[str], Sequence[str], Sequence[str]],
    recipe: Recipe,
    noun: str,
    progress: Progress,
) -> Split:
    """The recipe's split of subjects with inputs and target, with inputs alone and with targets alone."""
    settings = recipe.data.split
    parts: dict[str, str] = {subject.id: subject.part for subject in subjects if subject.part is not None}
    owners = {subject.id: subject.patient for subject in subjects}
    ratio, seed, strata = None, 0, None
    if settings != "none":
        ratio, seed = settings.ratio, settings.seed
        strata = None if settings.stratify is None else strata_of(subjects, settings.stratify, noun)
        folds = {subject.id: subject.fold for subject in subjects if subject.fold is not None}
        if settings.folds is not None and settings.fold is not None:
            parts = parts_in_fold(
                kinds[0] or [*kinds[1], *kinds[2]],
                folds=settings.folds,
                fold=settings.fold,
                seed=seed,
                parts=parts,
                given=folds,
                owners=owners,
                strata=strata,
                noun=noun,
            )
            ratio = (*ratio[:2], 0)
        elif folds:
            progress.note("The table's folds are not used: set data.split.folds and data.split.fold to use them")
    return split_cohort(
        *kinds,
        parts=parts,
        owners=owners,
        strata=strata,
        ratio=ratio,
        seed=seed,
        paired_fraction=recipe.data.paired_fraction,
        noun=noun,
    )


def _check_pickles(dataset: Any, origin: str) -> None:
    """Check that the dataset pickles, because slices are prepared in other processes."""
    try:
        pickle.dumps(dataset)
    except Exception as error:  # a class's __reduce__ may raise anything
        raise PluginError(
            f"the {origin} cannot be pickled, so it cannot be sent to the processes that prepare slices",
            where="data.dataset",
            why=error,
            mend="remove lambdas, open files and locks from its attributes, and define its class at module level",
        ) from None
