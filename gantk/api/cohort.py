"""From a recipe's `[data]` to prepared slices, a split and batches."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gantk.data.cache import gantk_cache_dir
from gantk.data.cohort import Split, by_target, split_cohort
from gantk.data.loader import Loader
from gantk.data.store import SliceSettings, SliceStore, prepare
from gantk.errors import DataError
from gantk.plugins import Registry
from gantk.progress import Progress
from gantk.recipe import Recipe


@dataclass(frozen=True)
class Cohort:
    """A dataset's patients, prepared, split, and ready to be read in batches."""

    store: SliceStore
    split: Split
    loader: Loader

    def target_scale(self, recipe: Recipe) -> float:
        """How bright the target is beside the first input: median over paired patients of the two scales' maxima."""
        first, target = recipe.data.inputs[0], recipe.data.target
        scales = [self.store[patient].scales for patient in self.split.paired or self.split.validation]
        return median(s[target].units[-1] / s[first].units[-1] for s in scales)


def make_dataset(recipe: Recipe, registry: Registry) -> Any:
    """The recipe's dataset component."""
    component = registry.get("dataset", recipe.data.dataset, "data.dataset")
    return component.build(recipe.data.parameters, "data")


def slice_settings(recipe: Recipe) -> SliceSettings:
    """What shapes the stored slices."""
    data = recipe.data
    return SliceSettings(data.modalities, data.spacing, data.crop, data.upper_percentile)


def open_cohort(recipe: Recipe, registry: Registry, progress: Progress) -> Cohort:
    """List, split and prepare the patients.

    Raises:
        DataError: the data cannot be used.
    """
    data = recipe.data
    dataset = make_dataset(recipe, registry)
    subjects = dataset.subjects(progress)
    with_target, without = by_target(subjects, data.inputs, [data.target])
    split = split_cohort(
        with_target,
        without,
        ratio=data.split.ratio,
        seed=data.split.seed,
        paired_fraction=data.paired_fraction,
    )
    store = prepare(
        dataset,
        subjects,
        slice_settings(recipe),
        data.inputs,
        cache=gantk_cache_dir(),
        workers=os.cpu_count() or 1,
        progress=progress,
    )
    loader = Loader(
        store,
        split,
        inputs=data.inputs,
        targets=[data.target],
        sizes=data.batch,
        slices=data.slices,
        core_fraction=data.core_fraction,
        seed=recipe.run.seed,
        steps_per_epoch=data.steps_per_epoch,
    )
    return Cohort(store, split, loader)


def check_same_split(split: Split, path: Path) -> None:
    """A resumed run must see the patients that it began with.

    Raises:
        DataError: the split on disk is another.
    """
    if Split.from_csv(path).hash != split.hash:
        raise DataError(
            "the cohort has changed since this run began: its split is another now",
            where=path,
            mend="bring the data back to what it was, or start a new run",
        )
