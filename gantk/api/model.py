"""Prediction with a trained run: volumes in, volumes out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantk.api.at_test import as_tested, draws
from gantk.api.listing import make_dataset
from gantk.api.outputs import check_file, check_writes, write_image
from gantk.api.preparing import Preparation, Prepared, Request
from gantk.api.windows import Windows
from gantk.data.layout import Layout
from gantk.data.meaning import Meaning
from gantk.data.normalisation import BACKGROUND
from gantk.data.slices import tell
from gantk.data.stacks import shown, through
from gantk.data.volumes import Subject
from gantk.errors import PluginError, UsageError
from gantk.files import sweep_partial
from gantk.memory import enough_memory
from gantk.plugins import load_plugins
from gantk.plugins.absent import made_with
from gantk.progress import Progress, default_progress
from gantk.recipe import Recipe
from gantk.runs.files import warn_of_damage
from gantk.runs.folders import recipe_of, resolve_run
from gantk.runs.names import CHECKPOINTS
from gantk.training.best import trained_checkpoint
from gantk.training.checkpoint import Checkpoint, restore_generators
from gantk.training.device import autocasting, images_at_once, pick_device
from gantk.translation import Chain, Translation, Translator, build_translators
from gantk.translation.protocols import no_extra, output_of
from gantk.translation.shapes import fitting_size


class Model:
    """The trained generators of a run, as `gantk.load` returns them; the checkpoint has all that prediction needs.

    Args:
        checkpoint: the checkpoint.
        recipe: its recipe.
        translators: by role; their generators have the checkpoint's weights.
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
        self.chains = {role: Chain(translators, role) for role in translators}
        self.dataset = dataset
        self.layout = layout
        self.device = device
        self.sample = 0
        self.meaning = Meaning.from_dict(checkpoint.facts["meaning"])
        self._network = Lock()  # a cohort's images are prepared while others are translated
        self._fitting = lru_cache(maxsize=None)(self._find_fitting)
        self.preparation = Preparation(recipe, dataset, layout, self.meaning, self.chains, self._fitting)

    def __repr__(self) -> str:
        """`Model('tiny', roles=['teacher', 'student'], device='cpu')`."""
        return f"Model({self.recipe.name!r}, roles={list(self.translators)}, device={str(self.device)!r})"

    @property
    def run(self) -> str:
        """The name of the model's run."""
        return self.checkpoint.folder.parent.parent.name

    @property
    def roles(self) -> list[str]:
        """The translators that can predict."""
        return list(self.translators)

    def predict(
        self,
        patient: str | Path | Subject,
        out: str | Path | None = None,
        role: str | None = None,
        progress: Progress | None = None,
        target: str | None = None,
        overwrite: bool = False,
        size: tuple[int, int] | None = None,
        flips: bool = False,
        given: Mapping[str, object] | None = None,
    ) -> np.ndarray:
        """The synthesized image of one patient, full field of view.

        Args:
            patient: a folder with the modalities that the role takes, a picture, or a subject that a dataset lists. No
                target is needed.
            out: file to write: for a volume NIfTI with the affine and header of the first input, for a picture PNG or
                TIFF of its size.
            role: the translator; default: the recipe's `predict`.
            progress: shows a bar over slices.
            target: the image to return, of those that the role gives; default: the first that the recipe evaluates.
            overwrite: whether an existing file is overwritten; files beside the inputs never are.
            size: height and width at which a picture is translated; default: its own size, enlarged if it is smaller
                than the training crop. The result always has the picture's size.
            flips: average the outputs for each slice and its left-right mirror image.
            given: values for `[data.extra]`, by name; default: the dataset's values for the patient.

        Returns:
            For a volume float32 (X, Y, Z) in LPS orientation, in the unit and with the background of the training
            targets. Values in an absolute unit such as HU are in that unit; in a relative unit the ratio to the
            brightness of the first relative input is that of the training targets. For a picture (H, W) or (H, W, 3),
            uint8 or uint16 as the input; where the recipe gives the target a range, in that range and in the type of
            the target's files.

        Raises:
            UsageError: there is no such role or target, a volume is given a size, or the file exists or cannot be
                written.
            DataError: the patient cannot be read.
        """
        case = patient if isinstance(patient, Subject) else Path(patient)
        if out is not None:
            check_writes(self.dataset, self.recipe.data.dataset)
            check_file(Path(out), case, self.dataset, overwrite)
        progress = progress or default_progress()
        request = Request(role, target, size, flips, given or {})
        prepared = self.prepare(case, request)
        image = prepared.restore(self.translate(prepared, progress, flips=flips))
        tell(progress, [prepared.remarks])
        if out is not None:
            sweep_partial(Path(out).parent)
            write_image(self.dataset, Path(out), image, prepared.like)
        return image

    def members(self, path: str | Path) -> Sequence[Path | Subject] | None:
        """The subjects, or their paths, in a table or folder; None if the path is that of a single subject.

        Raises:
            DataError: there are none, or they cannot be listed.
        """
        ask = getattr(self.dataset, "members", None)
        found: Sequence[Path | Subject] | None = ask(Path(path)) if ask else None
        return found

    def prepare(self, case: Path | Subject, request: Request) -> Prepared:
        """Read a subject and make the network's input from it, without a network; raises what `Preparation` raises."""
        return self.preparation(case, request)

    def translate(self, prepared: Prepared, progress: Progress | None = None, *, flips: bool = False) -> np.ndarray:
        """The network's output for a subject, (Z, C, H, W) in [-1, 1].

        Args:
            prepared: the subject.
            progress: shows a bar over slices.
            flips: average the outputs for each slice and its left-right mirror image.

        Raises:
            MemoryShortage: the images are too large.
        """
        progress = progress or default_progress()
        made = [
            self._translate(replace(prepared, images=prepared.images[..., ::step]), progress)[..., ::step]
            for step in ((1, -1) if flips else (1,))
        ]
        mean: np.ndarray = made[0] if len(made) == 1 else np.mean(made, axis=0)
        return mean

    @enough_memory(
        "to predict",
        "the size of pictures (--size), or in the run's recipe evaluation.batch, or for volumes inference.batch or "
        'inference.gather = "cpu": gantk evaluate RUN --set evaluation.batch=1',
    )
    def _translate(self, prepared: Prepared, progress: Progress) -> np.ndarray:
        """Run the generator on a subject's slices or volume."""
        windows = Windows.of(self.recipe, self.device)
        if windows is not None:
            return self._in_windows(prepared, windows, progress)
        full = prepared.slices.foreground.any(axis=(1, 2))
        with progress.task("Synthesizing", int(full.sum())) as bar:
            made = through(
                partial(self._batch, prepared),
                prepared.images,
                prepared.slices,
                slice(0, prepared.channels * (1 + len(prepared.also))),
                crop=self.recipe.data.crop,
                fitting=partial(self._fitting, prepared.role),
                batch=images_at_once(self.device, self.recipe.evaluation.batch, prepared.images.shape[-2:]),
                advance=bar.advance,
            )
        made[~full, prepared.channels :] = 0
        return made

    def _in_windows(self, prepared: Prepared, windows: Windows, progress: Progress) -> np.ndarray:
        """As `_translate`, window by window."""
        foreground, images = prepared.slices.foreground, prepared.images
        made = np.zeros((len(images), prepared.channels * (1 + len(prepared.also)), *images.shape[2:]), np.float32)
        made[:, : prepared.channels] = BACKGROUND
        shows = partial(shown, foreground=foreground, volume=self.recipe.data.dimensions == 3)
        parts = list(zip(shows(made), shows(images), strict=True))
        fill = BACKGROUND if prepared.slices.pixel is not None else None
        with progress.task("Synthesizing", sum(windows.count(part.shape[2:]) for _, part in parts)) as bar:
            for result, part in parts:
                given = torch.from_numpy(np.ascontiguousarray(part))
                with self._at_test(prepared.role):
                    output = windows(partial(self._ask, prepared), given, fill=fill, advance=bar.advance)
                result[:] = output.cpu().numpy()
        return made

    def samples(self, number: int, role: str | None = None) -> list[Model]:
        """Copies of the model that draw different random numbers, for generators that sample or keep dropout.

        Raises:
            UsageError: the role's output is not random.
        """
        role = self.preparation.asked(Request(role))[0]
        if number > 1 and not draws(self.chains[role], self.recipe):
            raise UsageError(
                f"{role!r} makes the same image every time",
                where="samples",
                mend='omit samples; at_test = "train" in its translator keeps dropout at test',
            )
        made = []
        for sample in range(number):
            made.append(copy.copy(self))
            made[-1].sample = sample
        return made

    def _find_fitting(self, role: str, size: tuple[int, int]) -> tuple[int, int] | None:
        with self._network:
            found = fitting_size(self.chains[role], size, self.recipe.data.crop)
        return None if found is None else (found[0], found[1])

    def _batch(self, asked: Prepared, images: np.ndarray) -> np.ndarray:
        """`_ask` for NumPy arrays."""
        given = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        with self._at_test(asked.role):
            array: np.ndarray = self._ask(asked, given).cpu().numpy()
        return array

    @contextmanager
    def _at_test(self, role: str) -> Iterator[None]:
        """A context with a role's generators in the mode that the recipe tests them in, for one thread at a time."""
        autocast = autocasting(self.device, self.recipe.run.precision)
        with self._network, as_tested(self.chains[role], self.recipe, self.sample), autocast():
            yield

    def _ask(self, asked: Prepared, images: Tensor) -> Tensor:
        """The requested image and the additional outputs of a generator. The last channels of the input, one for each
        map of `[data.extra]`, hold values per pixel."""
        chain, maps = self.chains[asked.role], asked.pixels
        image, *pixels = images.split([chain.takes.size, *(1 for _ in maps)], dim=1)
        extra = {name: codes.clamp(min=0) for name, codes in zip(maps, pixels, strict=True)}  # padded with background
        extra |= {name: torch.full((len(image),), value, device=self.device) for name, value in asked.said.items()}
        answer = chain(image, **chain.given(extra))
        output, origin = output_of(answer)[:, asked.place], self.translators[asked.role].origins["generator"]
        besides = [_besides(answer, name, output, origin) for name in asked.also]
        return torch.cat([output, *besides], dim=1).float()


def load(run: str | Path, *, device: str = "auto") -> Model:
    """Load the model of a run (folder or id) from the checkpoint that its recipe evaluates, by default the newest.

    Raises:
        UsageError: there is no such run.
        CheckpointError: it has no checkpoint, or it is damaged.
        PluginError: a plugin that the run was made with is missing.
    """
    folder = resolve_run(run)
    warn_of_damage(folder)
    recipe = recipe_of(folder)
    checkpoint = trained_checkpoint(folder / CHECKPOINTS, recipe.evaluation.checkpoint)
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


def _besides(answer: Tensor | Translation, name: str, output: Tensor, origin: str) -> Tensor:
    """An additional output of a generator, one map for each image, repeated to the channels of the output."""
    made = Translation.of(answer).extra
    if name not in made:
        raise no_extra(name, made, origin)
    shape = (len(output), 1, *output.shape[2:])
    if made[name].shape != shape:
        raise PluginError(
            f"the {origin} makes {tuple(made[name].shape)} as {name!r}, and {shape} can be written",
            mend="let it be one map for each image, as large as the image",
        )
    return made[name].expand_as(output)
