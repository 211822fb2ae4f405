"""Batches as a pure function of stage, epoch and step."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from math import ceil
from typing import Any

import numpy as np
import torch

from gantk.data.ahead import ahead
from gantk.data.batch import Batch, Group
from gantk.data.extra import of_image, of_pixels
from gantk.data.layout import Layout
from gantk.data.normalisation import BACKGROUND
from gantk.data.pools import Chosen, PatchesBySlice, Pools, Sampling, WholeSlices
from gantk.data.prepared import PatientSlices
from gantk.data.sampler import Candidates, Weighed
from gantk.data.samples import Patch, Row, Sample, Slice
from gantk.data.split import Split
from gantk.data.store import SliceStore
from gantk.errors import DataError, RecipeError, nearest
from gantk.recipe.data import SEGMENTATION, ExtraSettings
from gantk.recipe.groups import GroupName

__all__ = ["Loader", "members"]

SLICES = WholeSlices()


def members(split: Split, group: str, having: int | None = None) -> tuple[str, ...]:
    """The subjects whose slices a batch group draws.

    Args:
        split: the split.
        group: the group's name.
        having: number of training patients who have the target, paired or not, if it is known; for the error.

    Raises:
        DataError: there is no such subject, or there are fewer than the group's parts.
    """
    name = GroupName.parse(group)
    whole = {
        "paired": split.paired,
        "unpaired": split.unpaired,
        "source": split.training,
        "target": split.paired + split.target,
    }[name.base]
    patients = split.patients_of(whole)
    if len(patients) < name.parts:
        mend = "change data.paired_fraction"
        if name.base == "paired" and having is not None and having >= name.parts > 1:
            mend = f"set data.paired_fraction to {math.ceil(100 * name.parts / having) / 100} or more"
        few = "1 patient is" if len(patients) == 1 else f"{len(patients)} patients are"
        raise DataError(
            f"the batch group {group!r} has no patient",
            why=f"{few} too few for {name.parts} parts" if name.parts > 1 else None,
            mend=f"{mend}, or remove the terms that use this group",
        )
    own = set(name.share(patients))
    return tuple(subject for subject in sorted(whole) if split.patient(subject) in own) if name.parts > 1 else whole


class Loader:
    """Batches as a pure function of (stage, epoch, step): nothing to save, resume is exact.

    Training draws the samples of a `Sampling` (slices or patches); everything else reads slices or whole volumes.

    Groups: `paired` (source and target of the paired patients), `unpaired` (source of the unpaired patients), `source`
    (source of all training patients) and `target` (target of the paired patients and of patients with only targets,
    drawn independently). `paired:1/2` draws from the first of two parts of the paired patients, see `GroupName`. In an
    epoch no sample repeats before all samples of its class were drawn; each pass has its own order.

    Args:
        store: prepared slices of all patients of the split.
        split: the split of the patients.
        layout: the channels of source and target.
        sizes: samples per batch, by group.
        sampling: draws the samples.
        slices: `tumour` draws only slices with tumor, `all` draws all slices.
        core_fraction: fraction of the draws with tumor core; None draws regardless of the core.
        seed: seed of all orders.
        steps_per_epoch: length of an epoch; None uses the length of the longest group.
        missing: inputs that `rows` and `patient` hide.
        measured: targets that must be present for `rows` and `patient` to return a target; default: all.
        extra: further values of groups, by name.
        facts: the facts of each subject, by name.
        sampler: decides how often each slice is drawn; default: all equally often. With a sampler, `sampling` must draw
            slices, either as samples or as the center slices of patches.
    """

    def __init__(
        self,
        store: SliceStore,
        split: Split,
        *,
        layout: Layout,
        sizes: Mapping[str, int],
        sampling: Sampling[Any] = SLICES,
        slices: Chosen = "tumour",
        core_fraction: float | None = 0.5,
        seed: int = 0,
        steps_per_epoch: int | None = None,
        missing: Sequence[str] = (),
        measured: Sequence[str] | None = None,
        extra: Mapping[str, ExtraSettings] | None = None,
        facts: Mapping[str, Mapping[str, str]] | None = None,
        sampler: Weighed | None = None,
    ) -> None:
        self.store, self.split, self.layout = store, split, layout
        self.sizes, self.sampling, self.slices, self.core_fraction = dict(sizes), sampling, slices, core_fraction
        self.seed, self.steps_per_epoch = seed, steps_per_epoch
        self.extra, self.facts = dict(extra or {}), facts or {}
        self.measured = frozenset(layout.targets if measured is None else measured)
        self.sampler = sampler
        self._hidden = [plane for name in missing for plane in layout.planes("source", name)]
        self._pools = lru_cache(maxsize=None)(self._find_pools)
        self._order = lru_cache(maxsize=16)(self._draw_order)

    def steps(self, groups: Collection[str]) -> int:
        """Number of batches in an epoch over these groups: that of the longest group; the others start over.

        Raises:
            RecipeError: a group is unknown or has no size.
            DataError: a group has no patient, or no slice that can be drawn.
        """
        sizes = {group: self._size(group) for group in groups}
        if self.sampler is not None:
            for group in groups:
                self.sampler.weights(self._candidates(group))  # fail before training begins
        needed = [ceil(self.sampling.draws(self._pools(group)) / size) for group, size in sizes.items()]
        return self.steps_per_epoch or max(needed, default=0)

    def batch(self, groups: Collection[str], stage: int, epoch: int, step: int) -> Batch:
        """The batch of a step; the same arguments always give the same batch. Raises as `steps` does."""
        batch = {}
        for group in groups:
            size, name = self._size(group), GroupName.parse(group)
            samples = [self._draw(group, stage, epoch, draw) for draw in range(step * size, (step + 1) * size)]
            batch[group] = self._group(samples, source=name.has_source, target=name.has_target)
        return batch

    def prefetch(
        self, groups: Collection[str], stage: int, epoch: int, start: int, stop: int, *, pinned: bool = False
    ) -> Iterator[tuple[int, Batch]]:
        """Yield (step, batch) for steps start to stop - 1; a thread prepares the next batch in the meantime.

        Pinned batches can be copied to a GPU while it computes.
        """

        def prepare(step: int) -> tuple[int, Batch]:
            batch = self.batch(groups, stage, epoch, step)
            return step, {name: group.pinned() for name, group in batch.items()} if pinned else batch

        return ahead(map(prepare, range(start, stop)))

    def patient(self, patient: str, size: int) -> Iterator[Group]:
        """Every brain slice of a patient in order, `size` at a time, with the target if there is one.

        A thread reads the next slices in the meantime.
        """
        rows = [(patient, row) for row in range(len(self._patient(patient)))]
        return ahead(self.rows(rows[start : start + size]) for start in range(0, len(rows), size))

    def panel_rows(self, patients: Sequence[str], count: int) -> list[Row]:
        """(patient, row) of up to `count` slices with the largest tumors, for pictures.

        Each patient's best slice comes first, then the second best of each; without tumor, the slices with most brain.
        """
        ranked = []
        for patient in patients:
            slices = self._patient(patient)
            best = np.lexsort((-slices.brain_area, -slices.tumour_area))
            ranked += [
                (rank, -int(slices.tumour_area[row]), -int(slices.brain_area[row]), patient, int(row))
                for rank, row in enumerate(best)
            ]
        return [(patient, row) for *_, patient, row in sorted(ranked)[:count]]

    def rows(self, rows: Sequence[Row]) -> Group:
        """These (patient, row) slices, with the target if all their patients have the measured targets."""
        return self._shown([Slice(patient, self._patient(patient), row) for patient, row in rows])

    def volume(self, patient: str) -> Group:
        """All slices of a patient as one volume (1, C, D, H, W), with the target as in `rows`."""
        return self._shown([Patch.whole(patient, self._patient(patient))])

    def _shown(self, samples: Sequence[Sample]) -> Group:
        """Samples as seen at test time: without the hidden inputs."""
        have = all(self.measured <= set(self._patient(sample.subject).modalities) for sample in samples)
        group = self._group(samples, source=True, target=have)
        if self._hidden and group.source is not None:
            group.source.numpy()[:, self._hidden] = BACKGROUND
        return group

    def _group(self, samples: Sequence[Sample], *, source: bool, target: bool) -> Group:
        # only NumPy here: a torch operation in the prefetching thread would start a second pool of OpenMP threads;
        # with more threads than cores they stop spin-waiting, which makes training 1.6 times as slow
        layout, subjects = self.layout, tuple(sample.subject for sample in samples)
        labels = np.stack([sample.segmentation() for sample in samples])
        return Group(
            source=torch.from_numpy(np.stack([s.image("source", layout) for s in samples])) if source else None,
            target=torch.from_numpy(np.stack([s.image("target", layout) for s in samples])) if target else None,
            segmentation=torch.from_numpy(labels[:, None]),
            patients=tuple(map(self.split.patient, subjects)),
            slices=tuple(sample.z for sample in samples),
            own=layout.own,
            categories=layout.named,
            subjects=subjects,
            extra={name: torch.from_numpy(self._extra(name, samples)) for name in self.extra},
        )

    def _extra(self, name: str, samples: Sequence[Sample]) -> np.ndarray:
        """The extra values of the samples; see `Group.extra`."""
        settings = self.extra[name]
        subjects = [sample.subject for sample in samples]
        if settings.per == "image":
            said = [of_image(name, settings, self.facts.get(subject, {}), subject) for subject in subjects]
            return np.array(said, np.float32 if settings.categories is None else np.int64)
        found, of = [], settings.of or name
        for sample in samples:
            labels = sample.segmentation() if of == SEGMENTATION else sample.categories(of)
            found.append(of_pixels(name, settings, labels[None], sample.subject))
        return np.stack(found)

    def _patient(self, patient: str) -> PatientSlices:
        try:
            return self.store[patient]
        except KeyError:
            raise DataError(
                f"{self.store.noun} {patient!r} is not in the data",
                why=nearest(patient, self.store),
                mend="check data.root",
            ) from None

    def _size(self, group: str) -> int:
        try:
            GroupName.parse(group)
        except ValueError as error:
            raise RecipeError(str(error)) from None
        if self.sizes.get(group, 0) < 1:
            raise RecipeError(
                f"the batch group {group!r} is used but has no size",
                why=f"sizes are given for {', '.join(self.sizes) or 'none'}",
                mend="set its number of slices or patches per step in [data.batch]",
            )
        return self.sizes[group]

    def _find_pools(self, group: str) -> Pools[Any]:
        patients = members(self.split, group)
        pools = self.sampling.pools(patients, self._patient, self.slices, self.core_fraction)
        if not pools.core and not pools.other:
            raise DataError(
                f"no {self.store.noun} of the batch group {group!r} has a slice with tumor",
                why="the segmentations are missing or empty",
                mend='set data.slices = "all" to train on every slice',
            )
        return pools

    def _draw(self, group: str, stage: int, epoch: int, draw: int) -> Sample:
        pools = self._pools(group)
        kind, number = pools.place(draw)
        pool = (pools.core, pools.other)[kind]
        length = len(pool) if self.sampler is None else self.sampling.draws(pools)
        again, place = divmod(number, length)
        drawn = pool[self._order(group, stage, epoch, kind, again, length)[place]]
        # ends in 1 because SeedSequence treats a key and the same key with trailing zeros as equal
        key = (self.seed, *GroupName.parse(group).key, stage, epoch, kind, number, 1)
        return self.sampling.sample(drawn, self._patient, partial(_random, key))

    def _candidates(self, group: str) -> Candidates:
        rows, known = self._pools(group).other, {} if self.sampler is None else self.sampler.hardness.known
        subjects, sampling = [subject for subject, _ in rows], self.sampling
        assert isinstance(sampling, WholeSlices | PatchesBySlice)  # other samplings draw no slices
        slices = [int(self._patient(subject).z[row]) for subject, row in rows]
        hardness = [known.get(sampling.told(drawn, self._patient), np.nan) for drawn in rows] if known else []
        return Candidates(
            group,
            subjects,
            [self.split.patient(subject) for subject in subjects],
            np.array(slices),
            np.array([bool(self._patient(subject).tumour[row]) for subject, row in rows]),
            np.array([bool(self._patient(subject).core[row]) for subject, row in rows]),
            [self.facts.get(subject, {}) for subject in subjects],
            np.array(hardness or [np.nan] * len(rows), np.float64),
        )

    def _draw_order(self, group: str, stage: int, epoch: int, kind: int, again: int, count: int) -> np.ndarray:
        """The order of one pass over a class; differs for every (seed, group, stage, epoch, class, pass)."""
        key = (self.seed, *GroupName.parse(group).key, stage, epoch, kind, again)
        if self.sampler is not None:
            return self.sampler.order(self._candidates(group), _random(key, count + 1))
        # sorts random numbers: NumPy guarantees this stream across versions, but not that of `permutation`
        return np.argsort(_random(key, count), kind="stable")


def _random(key: tuple[int, ...], count: int) -> np.ndarray:
    """Uniform numbers in [0, 1), determined by the key alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key))).random(count)
