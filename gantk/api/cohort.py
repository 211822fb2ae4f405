"""From a recipe's `[data]` to prepared slices, a split and batches."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gantk.data.cache import gantk_cache_dir
from gantk.data.cohort import Split, by_target, split_cohort
from gantk.data.dataset import Dataset, make_data
from gantk.data.layout import Layout
from gantk.data.loader import Loader
from gantk.data.normalisation import Normalisation
from gantk.data.store import SliceSettings, SliceStore, prepare
from gantk.data.volumes import Subject
from gantk.errors import DataError, PluginError
from gantk.memory import enough_memory
from gantk.plugins import Registry
from gantk.plugins.blame import blame
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

    def shown(self, patients: Sequence[str]) -> list[str]:
        """The patients who have something to be translated."""
        inputs = set(self.loader.layout.inputs)
        return [patient for patient in patients if inputs & set(self.store[patient].modalities)]

    def measured(self, patients: Sequence[str], recipe: Recipe) -> list[str]:
        """The patients of those whose translation can be measured: all targets that are measured are known."""
        targets = set(recipe.measured)
        return [patient for patient in self.shown(patients) if targets <= set(self.store[patient].modalities)]

    def brightness(self, recipe: Recipe) -> dict[str, float]:
        """How bright each modality is beside the first input, as training knows it.

        The median over patients of their scales' ratio; where none has both, the ratio of the medians.
        """
        data, split, first = recipe.data, self.split, recipe.data.inputs[0]
        having = dict.fromkeys(data.inputs, split.training)
        having |= dict.fromkeys(data.targets, split.paired + split.target or split.validation)
        uppers = {
            name: {p: self.store[p].scales[name].upper for p in patients if name in self.store[p].scales}
            for name, patients in having.items()
        }
        found = {}
        for name, of in uppers.items():
            both = [upper / uppers[first][patient] for patient, upper in of.items() if patient in uppers[first]]
            found[name] = median(both) if both else median(of.values()) / median(uppers[first].values())
        return found


def make_dataset(recipe: Recipe, registry: Registry) -> Dataset:
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


@dataclass(frozen=True)
class Listing:
    """A dataset's patients as the names of their files tell them, and who plays which role; no image was read."""

    dataset: Dataset
    origin: str
    subjects: Sequence[Subject]
    split: Split

    def measured(self, patients: Sequence[str], recipe: Recipe) -> list[str]:
        """The patients of those who have all targets that are measured."""
        files = {subject.id: set(subject.files) for subject in self.subjects}
        return [patient for patient in patients if set(recipe.measured) <= files[patient]]


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
    split = split_cohort(
        *by_target(subjects, needed, data.targets),
        parts={subject.id: subject.part for subject in subjects if subject.part is not None},
        ratio=data.split.ratio,
        seed=data.split.seed,
        paired_fraction=data.paired_fraction,
    )
    return Listing(dataset, origin, subjects, split)


def open_cohort(recipe: Recipe, registry: Registry, progress: Progress) -> Cohort:
    """List, split and prepare the patients.

    Raises:
        DataError: the data cannot be used.
    """
    return prepare_cohort(recipe, list_cohort(recipe, registry, progress), progress)


@enough_memory("to prepare the images", "data.crop, or raise data.spacing")
def prepare_cohort(recipe: Recipe, listing: Listing, progress: Progress) -> Cohort:
    """Prepare the patients of a listing.

    Raises:
        DataError: an image cannot be made or read.
    """
    data, dataset = recipe.data, listing.dataset
    with blame(listing.origin, "data.dataset"):
        make_data(dataset, progress)
    store = prepare(
        dataset,
        listing.subjects,
        slice_settings(recipe),
        [name for name in data.inputs if name not in data.targets] or data.inputs,
        cache=gantk_cache_dir(),
        workers=os.cpu_count() or 1,
        progress=progress,
    )
    loader = Loader(
        store,
        listing.split,
        layout=Layout.of(data, getattr(dataset, "channels", 1)),
        sizes=data.batch,
        slices=data.slices,
        core_fraction=data.core_fraction,
        seed=recipe.run.seed,
        steps_per_epoch=data.steps_per_epoch,
        missing=recipe.evaluation.missing,
    )
    return Cohort(store, listing.split, loader)


def _check_pickles(dataset: Any, origin: str) -> None:
    """Slices are prepared in processes of their own; what cannot travel there is found before."""
    try:
        pickle.dumps(dataset)
    except Exception as error:  # a class's own __reduce__ may raise anything
        raise PluginError(
            f"the {origin} cannot be pickled, and so not be sent to the processes that prepare slices",
            where="data.dataset",
            why=error,
            mend="keep no lambda, open file or lock in its attributes, and define its class at the top of its module",
        ) from None


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
