"""From a recipe's `[data]` to prepared slices, a split and batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantk.api.listing import Listing, list_cohort
from gantk.data.cache import gantk_cache_dir
from gantk.data.dataset import make_data
from gantk.data.labels import decide_labels
from gantk.data.layout import Layout
from gantk.data.loader import Loader
from gantk.data.meaning import Absolute, Meaning, Relative, decide_intensities
from gantk.data.normalisation import Normalisation
from gantk.data.pools import Patches, PatchesBySlice, Sampling, WholeSlices
from gantk.data.split import Split
from gantk.data.store import SliceSettings, SliceStore, prepare
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.files import checksum_of
from gantk.memory import enough_memory
from gantk.plugins import Registry
from gantk.plugins.blame import blame
from gantk.progress import Progress
from gantk.recipe import Recipe
from gantk.recipe.data import DataSettings
from gantk.runs.files import SPLIT, RunFiles


@dataclass(frozen=True)
class Cohort:
    """A dataset's patients, prepared, split, understood, and ready to be read in batches."""

    store: SliceStore
    split: Split
    loader: Loader
    meaning: Meaning
    left_out: tuple[str, ...] = ()  # who lack an input

    @property
    def fingerprint(self) -> str:
        """12 hex digits over the images' contents, wherever the files lie, and over their meaning."""
        stored = {patient: slices.checksum for patient, slices in self.store.items()}
        facts = [self.loader.facts] if self.loader.extra or self.loader.sampler else []
        return checksum_of([stored, self.meaning.to_dict(), *facts])[:12]

    def shown(self, patients: Sequence[str]) -> list[str]:
        """The patients with images to translate."""
        inputs = set(self.loader.layout.inputs)
        return [patient for patient in patients if inputs & set(self.store[patient].modalities)]

    def measured(self, patients: Sequence[str], recipe: Recipe) -> list[str]:
        """The patients among these whose translation can be measured because they have all measured targets."""
        return self.targets(self.shown(patients), recipe)

    def targets(self, patients: Sequence[str], recipe: Recipe) -> list[str]:
        """The patients among these who have all measured targets."""
        return [patient for patient in patients if set(recipe.measured) <= set(self.store[patient].modalities)]


def slice_settings(recipe: Recipe) -> SliceSettings:
    """The settings of the stored slices."""
    data = recipe.data
    return SliceSettings(
        data.modalities,
        data.voxel,
        data.crop,
        Normalisation(**data.normalisation.model_dump()),
        intensities=data.label_maps | data.intensities,
        mask=data.mask,
        plane=data.plane,
        whole=data.dimensions == 3,
    )


def sampling(data: DataSettings) -> Sampling[Any]:
    """The settings of a training sample."""
    if data.patch is None:
        return WholeSlices()
    if data.sampler is not None:
        return PatchesBySlice(data.patch, data.patches, "tumour" if data.slices == "tumour" else "foreground")
    return Patches(data.patch, data.patches)


def _known(data: DataSettings, subjects: Sequence[Subject]) -> dict[str, dict[str, str]]:
    """Subjects' facts: those that the recipe declares beside images; all facts if there is a sampler."""
    names = {settings.of or name for name, settings in data.extra.items() if settings.per == "image"}
    return {s.id: {k: v for k, v in s.facts.items() if k in names or data.sampler is not None} for s in subjects}


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
        progress=progress,
    )
    segmentations = {subject.id: subject.segmentation for subject in listing.subjects}
    meaning = understand(store, listing.split, recipe, segmentations)
    store = store.meant(meaning)
    for line in told(store, meaning):
        progress.note(line)
    loader = Loader(
        store,
        listing.split,
        layout=Layout.of(data, getattr(dataset, "channels", 1)),
        sizes=data.batch,
        sampling=sampling(data),
        slices=data.slices,
        core_fraction=data.core_fraction,
        seed=recipe.run.seed,
        steps_per_epoch=data.steps_per_epoch,
        missing=recipe.evaluation.missing,
        measured=recipe.measured,
        extra=data.extra,
        facts=_known(data, listing.subjects),
        sampler=listing.sampler,
    )
    return Cohort(store, listing.split, loader, meaning, listing.left_out)


def understand(store: SliceStore, split: Split, recipe: Recipe, segmentations: Mapping[str, Path | None]) -> Meaning:
    """Find the meaning of a cohort's images and segmentations; the training patients determine that of intensities.

    Args:
        store: all patients.
        split: the patients' roles.
        recipe: its settings of the data take precedence.
        segmentations: the patients' files, which errors name.

    Raises:
        DataError: there are labels whose meaning the recipe must state.
    """
    data = recipe.data
    having = dict.fromkeys(data.inputs, split.training)
    having |= dict.fromkeys(data.targets, split.paired + split.target or split.validation)
    everyone = {name: [patient for patient in store.values() if name in patient.modalities] for name in having}
    patients = {name: [p for p in everyone[name] if p.id in ids] or everyone[name] for name, ids in having.items()}
    labels = decide_labels({name: patient.labels for name, patient in store.items()}, data.labels, segmentations)
    return Meaning(decide_intensities(patients, data.inputs, data.intensities), labels)


def told(store: SliceStore, meaning: Meaning) -> Iterator[str]:
    """Findings about the scans and their interpretation, one line each."""
    found = {
        name: sorted({p.scales[name].background for p in store.values() if name in p.negative})
        for name in meaning.intensities
    }
    backgrounds = [
        f"{name} {values[0]:g}" + (f" to {values[-1]:g}" if len(values) > 1 else "")
        for name, values in found.items()
        if values
    ]
    if backgrounds:
        yield f"Background: {', '.join(backgrounds)}"
    relative = [name for name, known in meaning.intensities.items() if isinstance(known, Relative)]
    if relative:
        yield f"The brightness of {', '.join(relative)} differs between {store.noun}s; each image has its own scale"
    for name, known in meaning.intensities.items():
        if isinstance(known, Absolute):
            low, high = known.scale.units[0], known.scale.units[-1]
            everyone = f"all {store.noun}s"
            yield f"The numbers of {name} mean the same in {everyone}; {low:g} to {high:g} are brought to [-1, 1]"
    labels = sorted({label for patient in store.values() for label in patient.labels})
    if labels:
        regions = {"tumor": meaning.labels.tumour, "core": meaning.labels.core, "enhancing": meaning.labels.enhancing}
        parts = [f"{name} {', '.join(map(str, sorted({*of} & {*labels}))) or 'none'}" for name, of in regions.items()]
        yield f"Labels {', '.join(map(str, labels))}: {'; '.join(parts)}"


def check_same_data(cohort: Cohort, fingerprint: str | None, folder: Path) -> None:
    """Check that a resumed run sees the images that it began with.

    Raises:
        DataError: the run's checkpoint has a different fingerprint.
    """
    if fingerprint is not None and fingerprint != cohort.fingerprint:
        raise DataError(
            "the images have changed since this run's last checkpoint",
            where=folder,
            why="a resumed run must give the same result as an uninterrupted run",
            mend="restore the data, or start a new run",
        )


def check_same_split(split: Split, run: RunFiles) -> None:
    """Check that a resumed run has the patients that it began with.

    Raises:
        DataError: the run began with a different split.
    """
    if run.split_hash not in (None, split.hash):
        raise DataError(
            "the cohort has changed since this run began: its split is different now",
            where=run.folder / SPLIT,
            mend="restore the data, or start a new run",
        )
