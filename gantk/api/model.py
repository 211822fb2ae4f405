"""Prediction with a trained run: volumes in, volumes out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gantk.api.cohort import make_dataset, slice_settings
from gantk.api.inference import as_tested
from gantk.data.dataset import noun_of
from gantk.data.extra import of_image, planes
from gantk.data.layout import Layout
from gantk.data.meaning import Meaning
from gantk.data.slices import Readable, Slices, SliceSettings, placed, tell
from gantk.data.stacks import Network, own_size, stacked, through
from gantk.data.volumes import Subject
from gantk.errors import CheckpointError, DataError, PluginError, UsageError, nearest
from gantk.files import sweep_partial
from gantk.memory import enough_memory
from gantk.plugins import load_plugins
from gantk.plugins.absent import made_with
from gantk.progress import Progress, QuietProgress, default_progress
from gantk.recipe import Recipe
from gantk.recipe.model import SEGMENTATION
from gantk.runs.files import warn_of_damage
from gantk.runs.folders import recipe_of, resolve_run
from gantk.runs.names import CHECKPOINTS
from gantk.training.best import evaluated_checkpoint
from gantk.training.checkpoint import Checkpoint, restore_generators
from gantk.training.device import autocasting, pick_device
from gantk.translation import Translator, build_translators
from gantk.translation.shapes import fitting_size


@dataclass(frozen=True)
class _Made:
    """A synthesized image, the file that it was made from, and remarks on how that was read."""

    image: np.ndarray
    like: Path
    remarks: Mapping[str, str]


class Model:
    """The trained generators of a run, as returned by `gantk.load`; the checkpoint has everything for prediction.

    Args:
        checkpoint: the checkpoint.
        recipe: its recipe.
        translators: by role, their generators with the checkpoint's weights.
        dataset: reads patients as the recipe's dataset does.
        layout: the channels of sources and targets.
        device: where the generators are.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        recipe: Recipe,
        translators: Mapping[str, Translator],
        dataset: Any,
        layout: Layout,
        device: torch.device,
    ) -> None:
        self.checkpoint = checkpoint
        self.recipe = recipe
        self.translators = translators
        self.dataset = dataset
        self.layout = layout
        self.device = device
        self.meaning = Meaning.from_dict(checkpoint.facts["meaning"])
        self._fitting = lru_cache(maxsize=None)(self._find_fitting)

    def __repr__(self) -> str:
        """`Model('tiny', roles=['teacher', 'student'], device='cpu')`."""
        return f"Model({self.recipe.name!r}, roles={list(self.translators)}, device={str(self.device)!r})"

    @property
    def roles(self) -> list[str]:
        """The translators that can predict."""
        return list(self.translators)

    def predict(
        self,
        patient: str | Path,
        out: str | Path | None = None,
        role: str | None = None,
        progress: Progress | None = None,
        target: str | None = None,
        overwrite: bool = False,
        size: tuple[int, int] | None = None,
        given: Mapping[str, object] | None = None,
    ) -> np.ndarray:
        """The synthesized image of one patient, full field of view.

        Args:
            patient: what the dataset reads one subject from: a folder with the modalities that the role takes, or a
                picture; a target is not needed.
            out: file to write, of the dataset's own kind: NIfTI with the affine and header of the first input, or PNG
                or TIFF with its size.
            role: the translator; the recipe's `predict` where absent.
            progress: shows a bar over slices.
            target: which of the images that the role gives; the first that the recipe measures where absent.
            overwrite: whether a file that exists is replaced; what lies with the inputs never is.
            size: height and width that a picture is translated at; its own where absent, enlarged where it is smaller
                than the training's crop. The result has the picture's size in any case.
            given: what is said beside the patient's images (`[data.extra]`), by name; what the dataset knows of the
                patient where absent.

        Returns:
            For volumes float32 (X, Y, Z) in LPS orientation, in the target's unit and with its background, both as in
            training: an absolute unit such as HU as it is, a relative one as bright beside the first relative input as
            targets were. For pictures (H, W) or (H, W, 3), in as many bits as the input, uint8 or uint16; where the
            recipe gives the target a range, in that range and the target's own type.

        Raises:
            UsageError: there is no such role or target, a volume is given a size, or the file exists or cannot be
                written.
            DataError: the patient cannot be read.
        """
        if out is not None:
            self._check_out(Path(out), Path(patient), overwrite)
        progress = progress or default_progress()
        made = self._synthesize(Path(patient), role, target, progress, size, given or {})
        tell(progress, [made.remarks])
        if out is not None:
            self._write(Path(out), made)
        return made.image

    def _synthesize(
        self,
        path: Path,
        role: str | None,
        target: str | None,
        progress: Progress,
        size: tuple[int, int] | None,
        given: Mapping[str, object],
    ) -> _Made:
        role, takes, target, place = self._request(role, target)
        if not hasattr(self.dataset, "subject_at"):
            raise PluginError(
                f"the dataset {self.recipe.data.dataset!r} cannot read a patient from a folder, as predict needs",
                where="data.dataset",
                mend="let it have subject_at(folder, modalities), which gives a gantk.Subject",
            )
        settings = slice_settings(self.recipe)
        extra = self.translators[role].extra
        if unknown := next((name for name in given if name not in extra), None):
            raise UsageError(f"{role!r} is not given {unknown!r}", where="given", mend=nearest(unknown, extra))
        maps = [one.of or name for name, one in extra.items() if one.per == "pixel"]
        further = [name for name in (settings.mask, *maps) if name not in (None, SEGMENTATION)]
        subject, inputs = self._subject(path, takes, target, further)
        needed = list(dict.fromkeys((*inputs, *further)))
        read = self.dataset.read(subject, needed, segmentation=SEGMENTATION in maps)
        remarks: dict[str, str] = {}
        if hasattr(read, "sized"):
            read, remark = own_size(read, size, self.recipe.data.crop, partial(self._fitting, role))
            settings = replace(settings, crop=read.size)
            remarks = {remark: str(path)} if remark else {}
        elif size is not None:
            raise UsageError(
                f"a {noun_of(self.dataset)} is translated on its own grid",
                where="size",
                mend="leave the size out; data.spacing is the size of a pixel",
            )
        slices = self.slices(read, subject, inputs, settings)
        images = self._source(slices, takes, self.translators[role].takes.side)
        pixels = planes(extra, slices, self.meaning.labels, subject)
        facts = {**subject.facts, **{extra[name].of or name: said for name, said in given.items()}}
        said = {n: of_image(n, one, facts, subject.id) for n, one in extra.items() if one.per == "image"}
        images = np.concatenate([images, *(codes[:, None].astype(np.float32) for codes in pixels.values())], axis=1)
        network = partial(self._batch, role, list(pixels), said)
        translated = self._translate(images, slices, network, role, place, progress)
        scale = self.meaning.predicted(target, slices, inputs)
        made = read.restore(translated, inputs, settings, slices, scale)
        return _Made(made, subject.files[inputs[0]], {**slices.remarks, **remarks})

    def _subject(
        self, path: Path, takes: Sequence[str], target: str, further: Sequence[str]
    ) -> tuple[Subject, list[str]]:
        """The subject and the inputs that its images are made from: not the image that is to be made."""
        hidden = {*self.recipe.evaluation.missing, target}
        if not self.recipe.data.incomplete:
            inputs = [name for name in takes if name not in hidden] or list(takes)
            return self.dataset.subject_at(path, list(dict.fromkeys((*inputs, *further)))), inputs
        subject = self.dataset.subject_at(path, list(further))
        inputs = [name for name in takes if name != target and name in subject.files]
        if not inputs:
            raise DataError(
                f"this {noun_of(self.dataset)} has no image that {target!r} can be made from",
                where=path,
                why=f"it has {', '.join(sorted(subject.files)) or 'none'}",
                mend=f"add one of {', '.join(name for name in takes if name != target)}",
            )
        return subject, inputs

    def _write(self, out: Path, made: _Made) -> None:
        sweep_partial(out.parent)
        try:
            self.dataset.write(out, made.image, made.like)
        except OSError as error:
            raise UsageError(
                "the prediction cannot be written",
                where=out,
                why=error.strerror or error,
                mend="make room, or name another place",
            ) from error

    def slices(
        self, read: Readable, subject: Subject, inputs: Sequence[str], settings: SliceSettings | None = None
    ) -> Slices:
        """A subject's slices as networks are shown them; their scales lead back to the files' units.

        Args:
            read: what the dataset read of the subject.
            subject: whose images these are; errors name it.
            inputs: the modalities that say where foreground is.
            settings: of the slices; the recipe's where absent.

        Raises:
            DataError: the images cannot be used.
        """
        try:
            return self.meaning.normalised(read.slices(inputs, settings or slice_settings(self.recipe)))
        except DataError as error:
            raise placed(error, subject, noun_of(self.dataset)) from None

    def predict_all(
        self,
        path: str | Path,
        out: str | Path,
        role: str | None = None,
        progress: Progress | None = None,
        target: str | None = None,
        overwrite: bool = False,
        size: tuple[int, int] | None = None,
        given: Mapping[str, object] | None = None,
    ) -> list[Path]:
        """Predict one subject into a file, or every image of a folder into a folder; see `predict`.

        Returns:
            The files written.
        """
        out, progress = Path(out), progress or default_progress()
        ask = getattr(self.dataset, "members", None)
        members = ask(Path(path)) if ask else None
        if members is None:
            self.predict(path, out, role, progress, target, overwrite, size, given)
            return [out]
        if not out.is_dir() and (out.exists() or out.suffix.lower() in self.dataset.writes):
            raise UsageError(
                "a folder of images is translated into a folder, and this is the name of one file",
                where=out,
                mend="name a folder with -o",
            )
        if out.exists() and out.samefile(path):
            raise _takes_the_place(out)
        names = (f"{member.stem}{suffix}" for member in members for suffix in self.dataset.writes)
        if not overwrite and (there := next((name for name in names if (out / name).exists()), None)):
            raise _exists(out / there)
        written, remarks = [], []
        with progress.task("Synthesizing", len(members)) as bar:
            for member in members:
                made = self._synthesize(member, role, target, QuietProgress(), size, given or {})
                written.append(out / self._named(member, made.image))
                self._write(written[-1], made)
                remarks.append(made.remarks)
                bar.advance()
        tell(progress, remarks)
        return written

    def _named(self, source: Path, image: np.ndarray) -> str:
        """What an image made from a file is called beside others."""
        ask = getattr(self.dataset, "named", None)
        if ask is not None:
            return str(ask(source, image))
        writes: tuple[str, ...] = self.dataset.writes
        return source.name if source.suffix.lower() in writes else source.stem + writes[0]

    def _request(self, role: str | None, target: str | None) -> tuple[str, list[str], str, slice]:
        """Role, the modalities that it takes, the target, and which of the role's output channels show it."""
        role = role or self.recipe.predict_role
        if role not in self.roles:
            raise UsageError(f"there is no translator {role!r}", where="role", mend=nearest(role, self.roles))
        data, settings = self.recipe.data, self.recipe.translators[role]
        gives = list(settings.gives or data.targets)
        if target is None:
            target = next((name for name in self.recipe.measured if name in gives), gives[0])
        if target not in gives:
            raise UsageError(f"{role!r} does not give {target!r}", where="target", mend=nearest(target, gives))
        channels = self.layout.channels
        first = gives.index(target) * channels
        return role, list(settings.takes or data.inputs), target, slice(first, first + channels)

    def _check_out(self, out: Path, source: Path, overwrite: bool) -> None:
        """What would keep the file from being written is said before the network runs."""
        if not hasattr(self.dataset, "write"):
            raise PluginError(
                f"the dataset {self.recipe.data.dataset!r} cannot write an image",
                where="data.dataset",
                mend="let it have write(path, image, like), or predict without a file",
            )
        folder = next(place for place in out.absolute().parents if os.path.lexists(place))
        if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            why = f"{folder} is no folder" if not folder.is_dir() else f"{folder} may not be written to"
            raise UsageError(
                "the prediction cannot be written",
                where=out,
                why="it is a folder" if out.is_dir() else why,
                mend="name a file in a folder that can be written to",
            )
        writes: tuple[str, ...] = getattr(self.dataset, "writes", ())
        if writes and not out.name.lower().endswith(writes):
            raise UsageError(
                "an image of this dataset cannot be written under such a name",
                where=out,
                mend=f"let the name end in {' or '.join(writes)}",
            )
        beside = out.parent if source.is_dir() else out
        if out.exists() and source.exists() and beside.samefile(source):
            raise _takes_the_place(out)
        if out.exists() and not overwrite:
            raise _exists(out)

    def _source(self, slices: Slices, takes: Sequence[str], side: str) -> np.ndarray:
        """What the role is given, (Z, C, H, W)."""
        return stacked(slices, takes, self.layout.channels, self.layout.neighbours if side == "source" else 0)

    @enough_memory(
        "to predict",
        "the size of pictures (--size), or evaluation.batch in the run's recipe: gantk evaluate RUN --set "
        "evaluation.batch=1",
    )
    def _translate(
        self, images: np.ndarray, slices: Slices, network: Network, role: str, place: slice, progress: Progress
    ) -> np.ndarray:
        """Slices `(Z, C, H, W)` through the generator.

        What is said of their pixels are further channels, which `network` takes apart.
        """
        with progress.task("Synthesizing", int(slices.foreground.any(axis=(1, 2)).sum())) as bar:
            return through(
                network,
                images,
                slices,
                place,
                crop=self.recipe.data.crop,
                fitting=partial(self._fitting, role),
                batch=self.recipe.evaluation.batch,
                advance=bar.advance,
            )

    def _find_fitting(self, role: str, size: tuple[int, int]) -> tuple[int, int] | None:
        return fitting_size(self.translators[role], size, self.recipe.data.crop)

    def _batch(self, role: str, maps: Sequence[str], said: Mapping[str, float], whole: np.ndarray) -> np.ndarray:
        translator = self.translators[role]
        autocast = autocasting(self.device, self.recipe.run.precision)
        image, *pixels = (
            torch.from_numpy(np.ascontiguousarray(whole))
            .to(self.device)
            .split([translator.takes.size, *(1 for _ in maps)], dim=1)
        )
        extra = {name: codes.clamp(min=0) for name, codes in zip(maps, pixels, strict=True)}  # padded with background
        extra |= {name: torch.full((len(image),), value, device=self.device) for name, value in said.items()}
        with as_tested(translator.generator, role, self.recipe), autocast():
            output = translator.generator(image, **translator.given(extra)).float()
        array: np.ndarray = output.cpu().numpy()
        return array


def _exists(out: Path) -> UsageError:
    return UsageError("this file exists", where=out, mend="give another name, or --overwrite (overwrite=True)")


def _takes_the_place(out: Path) -> UsageError:
    return UsageError(
        "a prediction does not take the place of what lies with its inputs",
        where=out,
        why="there may be no copy of it",
        mend="give another name or folder with -o",
    )


def load(run: str | Path, *, device: str = "auto") -> Model:
    """The model of a run (folder or id), from the checkpoint that its recipe evaluates, by default the newest.

    Raises:
        UsageError: there is no such run.
        CheckpointError: it has no checkpoint, or it is damaged.
        PluginError: a plugin that it was made with is not there.
    """
    folder = resolve_run(run)
    warn_of_damage(folder)
    recipe = recipe_of(folder)
    checkpoint = evaluated_checkpoint(folder / CHECKPOINTS, recipe.evaluation.checkpoint)
    if checkpoint is None:
        raise CheckpointError(
            "the run has no checkpoint yet", where=folder, mend="let it train for an epoch, or resume it"
        )
    session = load_plugins()
    with made_with(checkpoint.facts.get("plugins", ()), session):
        dataset = make_dataset(recipe, session.registry)
        layout = Layout.of(recipe.data, getattr(dataset, "channels", 1))
        translators = build_translators(recipe, session.registry, layout)
    chosen = pick_device(device)
    restore_generators(translators, checkpoint)
    for translator in translators.values():
        translator.to(chosen)
    return Model(checkpoint, recipe, translators, dataset, layout, chosen)
