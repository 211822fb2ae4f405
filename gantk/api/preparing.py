"""The preparation of a subject for a network: the request, the images that are read, and the network's input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gantk.api.cohort import slice_settings
from gantk.data.dataset import noun_of
from gantk.data.extra import of_image, planes
from gantk.data.layout import Layout
from gantk.data.meaning import Meaning
from gantk.data.normalisation import Scale
from gantk.data.slices import Readable, Slices, SliceSettings, placed
from gantk.data.stacks import own_size, stacked
from gantk.data.volumes import Subject
from gantk.errors import DataError, PluginError, UsageError, nearest
from gantk.recipe import Recipe
from gantk.recipe.data import SEGMENTATION
from gantk.translation import Chain

__all__ = ["Preparation", "Prepared", "Request"]

Fitting = Callable[[str, tuple[int, int]], tuple[int, int] | None]
"""For a role, the smallest height and width, at least those given, that its network takes."""


@dataclass(frozen=True)
class Request:
    """A request to a model.

    Attributes:
        role: the translator; default: the recipe's `predict`.
        target: the requested image, of those that the role gives; default: the first that the recipe measures.
        size: height and width at which pictures are translated; default: their own.
        flips: whether to average over each slice and its left-right mirror image.
        given: the values of `[data.extra]`, by name; default: the dataset's values.
        also: requested additional outputs of the generator, by name; see `gantk.Translation`.
    """

    role: str | None = None
    target: str | None = None
    size: tuple[int, int] | None = None
    flips: bool = False
    given: Mapping[str, object] = field(default_factory=dict)
    also: Sequence[str] = ()


@dataclass(frozen=True)
class Prepared:
    """A subject's images as input of a network, and the way back to its own grid.

    Attributes:
        subject: the subject of the images.
        role: the translator.
        target: the modality to be made.
        place: the channels of the translator's output that hold the target.
        inputs: the modalities from which the target is made.
        read: the images that the dataset read.
        settings: of the slices.
        slices: the slices as inputs of networks.
        images: the translator's input, (Z, C, H, W): images in [-1, 1], then values per pixel.
        pixels: the names of the latter.
        said: values for the whole subject, by name.
        scale: of the target.
        remarks: on how the files were read.
        also: the requested additional outputs, by name.
    """

    subject: Subject
    role: str
    target: str
    place: slice
    inputs: list[str]
    read: Readable
    settings: SliceSettings
    slices: Slices
    images: np.ndarray
    pixels: Sequence[str]
    said: Mapping[str, float]
    scale: Scale
    remarks: Mapping[str, str]
    also: Sequence[str] = ()

    @property
    def channels(self) -> int:
        """Channels of the image, and of each additional output."""
        return self.place.stop - self.place.start

    @property
    def like(self) -> Path:
        """The file whose grid the image has."""
        return getattr(self.read, "reference", None) or self.subject.files[self.inputs[0]]

    def restore(self, translated: np.ndarray) -> np.ndarray:
        """A translation (Z, C, H, W) in [-1, 1] as an image on the subject's own grid, in the target's unit."""
        return self._restored(translated[:, : self.channels], self.scale)

    def besides(self, translated: np.ndarray) -> dict[str, np.ndarray]:
        """The additional outputs by name, on the subject's own grid, in the generator's own numbers, 0 outside."""
        stacks = np.split(translated, len(self.also) + 1, axis=1)[1:]
        made = {}
        for name, stack in zip(self.also, stacks, strict=True):
            span = (float(stack.min()), float(max(stack.max(), stack.min() + 1)))
            made[name] = self._restored(stack, Scale(span, span))
        return made

    def _restored(self, stack: np.ndarray, scale: Scale) -> np.ndarray:
        return self.read.restore(stack, self.inputs, self.settings, self.slices, scale)


@dataclass(frozen=True)
class Preparation:
    """Prepares subjects as inputs of a run's generators, as its training did.

    Attributes:
        recipe: of the run.
        dataset: reads subjects.
        layout: the channels of sources and targets.
        meaning: of the images' numbers, as training found it.
        chains: by role, with the images that their generators take and give.
        fitting: finds a size that a role's network takes.
    """

    recipe: Recipe
    dataset: Any
    layout: Layout
    meaning: Meaning
    chains: Mapping[str, Chain]
    fitting: Fitting

    def asked(self, request: Request) -> tuple[str, list[str], str, slice]:
        """The role, the modalities that it takes, the target, and the role's output channels with the target.

        Raises:
            UsageError: there is no such role or target.
        """
        role, target = request.role or self.recipe.predict_role, request.target
        if role not in self.chains:
            raise UsageError(f"there is no translator {role!r}", where="role", mend=nearest(role, self.chains))
        data, settings = self.recipe.data, self.recipe.translators[role]
        if settings.auxiliary:
            raise UsageError(
                f"{role!r} is auxiliary: its output is no image",
                where="role",
                mend=f"predict with {' or '.join(self.recipe.answering)}",
            )
        gives = list(settings.gives or data.targets)
        if target is None:
            target = next((name for name in self.recipe.measured if name in gives), gives[0])
        if target not in gives:
            raise UsageError(f"{role!r} does not give {target!r}", where="target", mend=nearest(target, gives))
        channels = self.layout.channels
        first = gives.index(target) * channels
        return role, self.recipe.shown_to(role), target, slice(first, first + channels)

    def __call__(self, case: Path | Subject, request: Request) -> Prepared:
        """Read a subject and prepare it as input of a network; uses no network.

        Raises:
            UsageError: there is no such role or target, or a volume is given a size.
            DataError: the subject cannot be read.
        """
        role, takes, target, place = self.asked(request)
        size = request.size
        if not hasattr(self.dataset, "subject_at"):
            raise PluginError(
                f"the dataset {self.recipe.data.dataset!r} cannot read a patient from a folder, as predict needs",
                where="data.dataset",
                mend="define subject_at(folder, modalities), which returns a gantk.Subject",
            )
        settings = slice_settings(self.recipe)
        extra = self.chains[role].extra
        if unknown := next((name for name in request.given if name not in extra), None):
            raise UsageError(f"{role!r} is not given {unknown!r}", where="given", mend=nearest(unknown, extra))
        maps = [one.of or name for name, one in extra.items() if one.per == "pixel"]
        further = [name for name in (settings.mask, *maps) if name not in (None, SEGMENTATION)]
        subject, inputs = self._subject(case, takes, target, further)
        needed = list(dict.fromkeys((*inputs, *further)))
        read = self.dataset.read(subject, needed, segmentation=SEGMENTATION in maps)
        remarks: dict[str, str] = {}
        if hasattr(read, "sized"):
            read, remark = own_size(read, size, self.recipe.data.crop, partial(self.fitting, role))
            settings = replace(settings, crop=read.size)
            remarks = {remark: str(subject.files[inputs[0]])} if remark else {}
        elif size is not None:
            raise UsageError(
                f"a {noun_of(self.dataset)} is translated on its own grid",
                where="size",
                mend="omit the size; data.spacing is the size of a pixel",
            )
        slices = self.slices(read, subject, inputs, settings)
        side = self.chains[role].takes.side
        reach = self.layout.neighbours if side == "source" else 0
        images = stacked(slices, takes, self.layout.channels, reach)
        pixels = planes(extra, slices, self.meaning.labels, subject)
        facts = {**subject.facts, **{extra[name].of or name: said for name, said in request.given.items()}}
        return Prepared(
            subject,
            role,
            target,
            place,
            inputs,
            read,
            settings,
            slices,
            np.concatenate([images, *(codes[:, None].astype(np.float32) for codes in pixels.values())], axis=1),
            list(pixels),
            {n: of_image(n, one, facts, subject.id) for n, one in extra.items() if one.per == "image"},
            self.meaning.predicted(target, slices, inputs),
            {**slices.remarks, **remarks},
            request.also,
        )

    def slices(
        self, read: Readable, subject: Subject, inputs: Sequence[str], settings: SliceSettings | None = None
    ) -> Slices:
        """A subject's slices as input of networks; their scales lead back to the files' units.

        Args:
            read: the images that the dataset read.
            subject: whose images these are; errors name it.
            inputs: the modalities that define the foreground.
            settings: of the slices; default: the recipe's.

        Raises:
            DataError: the images cannot be used.
        """
        try:
            return self.meaning.normalised(read.slices(inputs, settings or slice_settings(self.recipe)))
        except DataError as error:
            raise placed(error, subject, noun_of(self.dataset)) from None

    def _subject(
        self, case: Path | Subject, takes: Sequence[str], target: str, further: Sequence[str]
    ) -> tuple[Subject, list[str]]:
        """The subject with only the inputs of the translation, without the image to be made."""
        hidden = {*self.recipe.evaluation.missing, target}
        if not self.recipe.data.may_lack:
            inputs = [name for name in takes if name not in hidden] or list(takes)
            needed = list(dict.fromkeys((*inputs, *further)))
            return case if isinstance(case, Subject) else self.dataset.subject_at(case, needed), inputs
        subject = case if isinstance(case, Subject) else self.dataset.subject_at(case, list(further))
        inputs = [name for name in takes if name != target and name in subject.files]
        if not inputs:
            raise DataError(
                f"this {noun_of(self.dataset)} has no image that {target!r} can be made from",
                where=case.folder if isinstance(case, Subject) else case,
                why=f"it has {', '.join(sorted(subject.files)) or 'none'}",
                mend=f"add one of {', '.join(name for name in takes if name != target)}",
            )
        return subject, inputs
