"""Conformance of datasets, on a tiny one on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gantk.data.cohort import by_target, split_cohort
from gantk.data.dataset import make_data
from gantk.data.layout import Layout
from gantk.data.loader import SLICES, Loader
from gantk.data.planes import centre
from gantk.data.pools import Patches, Sampling
from gantk.data.slices import SliceSettings
from gantk.data.store import prepare
from gantk.data.volumes import Subject
from gantk.progress import QuietProgress
from gantk.testing.base import Conformance
from gantk.testing.checks import check_finite, pickled
from gantk.testing.cohort import write_cohort
from gantk.testing.failures import expect, skip

__all__ = ["DatasetConformance"]


class DatasetConformance(Conformance):
    """Conformance of a dataset; see `Conformance` for how to use it.

    Override `write` unless the data set is a cohort in the layout of BraTS in the folder given by the parameter `root`.

    Attributes:
        inputs: modalities that are read as inputs.
        targets: modalities that are read as targets.
        size: H and W of the slices.
        patch: D, H and W of patches of volumes.
    """

    kind = "dataset"
    inputs: ClassVar[tuple[str, ...]] = ("t1", "t2")
    targets: ClassVar[tuple[str, ...]] = ("t1ce",)
    size: ClassVar[tuple[int, int]] = (32, 40)
    patch: ClassVar[tuple[int, int, int]] = (4, 16, 20)

    def write(self, folder: Path) -> Mapping[str, Any]:
        """Write a tiny data set with at least four training subjects; returns the dataset's parameters."""
        return {"root": str(write_cohort(folder, 10, (*self.inputs, *self.targets)))}

    def dataset(self, folder: Path) -> Any:
        """The dataset, after its data were written and made."""
        dataset = self.registered.build({**self.write(folder), **self.parameters}, self.registered.name)
        make_data(dataset, QuietProgress())
        return dataset

    def test_signature(self) -> None:
        """Checked with the data, in `test_subjects`: the parameters follow from `write`."""

    def test_subjects(self, tmp_path: Path) -> None:
        """Subjects are sorted, have unique ids and files that exist, and a second call returns the same subjects."""
        dataset = self.dataset(tmp_path / "data")
        subjects = dataset.subjects(QuietProgress())
        check_subjects(subjects)
        again = [subject.id for subject in pickled(dataset).subjects(QuietProgress())]
        mend = "list files in sorted order, and keep no open files"
        expect(again == [subject.id for subject in subjects], "a copy lists other subjects", mend)

    def test_slices(self, tmp_path: Path) -> None:
        """The images of a subject become slices in [-1, 1] with exact background, all of one size."""
        dataset = self.dataset(tmp_path / "data")
        modalities = (*self.inputs, *self.targets)
        settings = SliceSettings(modalities, None, self.size)
        subject = self.complete(dataset.subjects(QuietProgress()))
        slices = dataset.read(subject, list(modalities)).slices(self.inputs, settings)
        mend = "give `slices(inputs, settings)` as gantk.data.slices.Slices, one image per modality that was asked for"
        expect(set(slices.images) == set(modalities), f"slices of {sorted(slices.images)} came", mend)
        shape = slices.foreground.shape
        for name, image in slices.images.items():
            same = image.shape[0] == shape[0] and image.shape[-2:] == shape[1:]
            expect(same, f"{name!r} is {image.shape}, the foreground {shape}", mend)
            expect(bool(np.isfinite(image).all()), f"{name!r} has values that are not finite", mend)
            inside = float(image.min()) >= -1 and float(image.max()) <= 1
            expect(inside, f"{name!r} lies in [{image.min():.3g}, {image.max():.3g}], outside of [-1, 1]", mend)
        expect(bool(slices.foreground.any()), "there is no foreground", mend)
        again = dataset.read(subject, list(reversed(modalities))).slices(self.inputs, settings)
        for name, image in slices.images.items():
            same = np.array_equal(again.images[name], image)
            mend = "give each image under its own name, in whatever order names are asked for and files lie"
            expect(same, f"{name!r} is another image when modalities are asked for in another order", mend)

    def test_restored(self, tmp_path: Path) -> None:
        """Slices converted back to the files' units equal the images that were read."""
        dataset = self.dataset(tmp_path / "data")
        name = self.inputs[0]
        settings = SliceSettings((name,), None, self.size)
        read = dataset.read(self.complete(dataset.subjects(QuietProgress())), [name])
        slices = read.slices([name], settings)
        image = slices.images[name]
        image = image if image.ndim == 4 else image[:, None]
        restored = np.asarray(read.restore(image, [name], settings, slices, slices.scales[name]), np.float64)
        original = np.asarray(read.images[name], np.float64)
        if restored.shape != original.shape:  # color: channels last in files
            original = np.moveaxis(original, 0, -1)
        expect(
            restored.shape == original.shape, f"{original.shape} came back as {restored.shape}", "undo what slices did"
        )
        # numbers next to the background's are background
        own = np.abs(original - slices.scales[name].background) > 0.01 * np.ptp(original)
        error = float(np.abs(restored - original)[own].mean() / np.abs(original).mean())
        # images that were resized come back smoother
        limit = 1e-3 if slices.foreground.shape[1:] == self.size or read_size(read) else 0.5
        expect(error <= limit, f"values come back changed by {error:.1%}", "invert the scale, and the resizing")

    def test_batches(self, tmp_path: Path) -> None:
        """The subjects can be prepared, split and loaded as training batches."""
        dataset = self.dataset(tmp_path / "data")
        subjects, channels = dataset.subjects(QuietProgress()), int(getattr(dataset, "channels", 1))
        settings = SliceSettings((*self.inputs, *self.targets), None, self.size)
        loader = self.loader(dataset, subjects, settings, tmp_path / "cache")
        _, batch = next(iter(loader.prefetch(("paired",), 0, 0, 0, 1)))
        group = batch["paired"]
        name, place = group.subjects[0], group.slices[0]
        (subject,) = (subject for subject in subjects if subject.id == name)
        read = dataset.read(subject, [*self.inputs, *self.targets]).slices(self.inputs, settings)
        for side, image in (("source", group.source), ("target", group.target)):
            names = self.inputs if side == "source" else self.targets
            wanted = (2, channels * len(names), *self.size)
            assert image is not None
            mend = "say how many channels an image has in the attribute `channels`"
            expect(tuple(image.shape) == wanted, f"the {side} is {tuple(image.shape)} where {wanted} is wanted", mend)
            check_finite(f"the {side}", image)
            expect(bool((image > -1).any()), f"the {side} is nothing but background", "check the scale and foreground")
            for number, name in enumerate(names):
                shown = centre(read.images[name][place].reshape(channels, *read.foreground.shape[1:]), self.size, -1)
                own = image[0, number * channels : (number + 1) * channels].numpy()
                there = own > -1  # padding, and everything outside the foreground, is background
                mend = "let `slices` give the same images whenever it is asked, each under its own name"
                expect(bool(np.allclose(own[there], shown[there], atol=1e-4)), f"{name!r} shows another image", mend)

    def test_volumes(self, tmp_path: Path) -> None:
        """If slices have world positions, patches become batches, and whole volumes equal the images that were read."""
        dataset = self.dataset(tmp_path / "data")
        subjects = dataset.subjects(QuietProgress())
        settings = SliceSettings((*self.inputs, *self.targets), None, self.size, whole=True)
        subject = self.complete(subjects)
        read = dataset.read(subject, [*self.inputs, *self.targets]).slices(self.inputs, settings)
        if read.pixel is None:
            raise skip("its subjects have no third dimension")
        loader = self.loader(dataset, subjects, settings, tmp_path / "cache", Patches(self.patch))
        group = loader.batch(("paired",), 0, 0, 0)["paired"]
        for side, names in (("source", self.inputs), ("target", self.targets)):
            image, whole = getattr(group, side), getattr(loader.volume(subject.id), side)
            wanted = (2, len(names), *self.patch)
            mend = "give all slices of a volume from `slices`, each with one channel for each image"
            expect(tuple(image.shape) == wanted, f"the {side} is {tuple(image.shape)} where {wanted} is wanted", mend)
            check_finite(f"the {side}", image)
            z = loader.store[subject.id].z
            for number, name in enumerate(names):
                own = whole[0, number].numpy()
                shown = centre(read.images[name][z].reshape(len(z), *read.foreground.shape[1:]), self.size, -1)
                same = own.shape == shown.shape and np.allclose(own[own > -1], shown[own > -1], atol=1e-4)
                expect(bool(same), f"the volume of {name!r} is another", "give slices in their order, without gaps")

    def loader(
        self,
        dataset: Any,
        subjects: Sequence[Subject],
        settings: SliceSettings,
        cache: Path,
        sampling: Sampling[Any] = SLICES,
    ) -> Loader:
        """A loader of the data set, prepared in a cache and split."""
        split = split_cohort(
            *by_target(subjects, self.inputs, self.targets),
            parts={subject.id: subject.part for subject in subjects if subject.part is not None},
            owners={subject.id: subject.patient for subject in subjects},
            ratio=(7, 1, 2),
            seed=0,
            paired_fraction=1.0,
        )
        store = prepare(dataset, subjects, settings, self.inputs, cache=cache, workers=1, progress=QuietProgress())
        return Loader(
            store,
            split,
            layout=Layout(self.inputs, self.targets, channels=int(getattr(dataset, "channels", 1))),
            sizes={"paired": 2},
            sampling=sampling,
            slices="all",
            core_fraction=None,
            seed=0,
        )

    def complete(self, subjects: Sequence[Subject]) -> Subject:
        """A subject with all modalities."""
        wanted = {*self.inputs, *self.targets}
        found = [subject for subject in subjects if wanted <= set(subject.files)]
        expect(bool(found), f"no subject has all of {sorted(wanted)}", "write complete subjects in `write`")
        return found[0]


def read_size(read: Any) -> bool:
    """Whether slices have the files' own grid: volumes do, pictures are resized."""
    return hasattr(read, "affine")


def check_subjects(subjects: Sequence[Subject]) -> None:
    """Whether subjects can be split and read."""
    expect(bool(subjects), "there are no subjects", "raise a gantk.DataError that says what is expected")
    ids = [subject.id for subject in subjects]
    expect(len(set(ids)) == len(ids), "two subjects have one id", "make ids from the whole path below the root")
    expect(ids == sorted(ids), "subjects are not sorted by id", "sort them: the split follows their order")
    for subject in subjects:
        for path in (*subject.files.values(), *filter(None, (subject.segmentation,))):
            expect(Path(path).is_file(), f"{subject.id}: {path} does not exist", "list files that there are")
