"""From a recipe's `[data]` to prepared slices, a split and batches."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gantk.data.cache import gantk_cache_dir
from gantk.data.cohort import Split, by_target, split_cohort
from gantk.data.loader import Loader
from gantk.data.normalisation import Normalisation
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

    @property
    def fingerprint(self) -> str:
        """12 hex digits over what was found in the images, wherever they lie: scales, slices, areas."""
        found = {
            patient: [
                {name: [f"{unit:.4g}" for unit in scale.units] for name, scale in slices.scales.items()},
                slices.z.tolist(),
                slices.brain_area.tolist(),
                slices.tumour_area.tolist(),
                slices.core.tolist(),
            ]
            for patient, slices in self.store.items()
        }
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:12]

    def target_scale(self, recipe: Recipe) -> float:
        """How bright the target is beside the first input: median over paired patients of their scales' ratio."""
        first, target = recipe.data.inputs[0], recipe.data.target
        scales = [self.store[patient].scales for patient in self.split.paired or self.split.validation]
        return median(s[target].upper / s[first].upper for s in scales)


def make_dataset(recipe: Recipe, registry: Registry) -> Any:
    """The recipe's dataset component."""
    component = registry.get("dataset", recipe.data.dataset, "data.dataset")
    return component.build(recipe.data.parameters, "data")


def normalisation(recipe: Recipe) -> Normalisation:
    """How intensities are brought to [-1, 1]."""
    return Normalisation(**recipe.data.normalisation.model_dump())


def slice_settings(recipe: Recipe) -> SliceSettings:
    """What shapes the stored slices."""
    data = recipe.data
    return SliceSettings(data.modalities, data.spacing, data.crop, normalisation(recipe))


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
        flip=data.flip,
    )
    return Cohort(store, split, loader)


def check_same_data(cohort: Cohort, fingerprint: str | None, folder: Path) -> None:
    """A resumed run must see the images that it began with.

    Raises:
        DataError: the fingerprint in the run's checkpoint is another.
    """
    if fingerprint is not None and fingerprint != cohort.fingerprint:
        raise DataError(
            "the images have changed since this run's last checkpoint",
            where=folder,
            why="a resumed run must give what the uninterrupted one would have given",
            mend="bring the data back to what it was, or start a new run",
        )


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
