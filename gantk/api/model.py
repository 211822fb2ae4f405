"""A trained run in use: whole volumes in, whole volumes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from gantk.api.checks import build, make_dataset
from gantk.api.cohort import normalisation
from gantk.api.inference import at_rest
from gantk.api.runs import resolve_run
from gantk.data.normalisation import BACKGROUND, Scale
from gantk.data.slices import brain_of, centre, normalised_slices, volume_of
from gantk.data.volumes import write_like
from gantk.errors import CheckpointError, UsageError, nearest
from gantk.plugins import load_plugins
from gantk.progress import Progress, default_progress
from gantk.recipe import Recipe, load_recipe
from gantk.training.checkpoint import Checkpoint, newest_checkpoint, restore_weights
from gantk.training.device import autocasting, pick_device
from gantk.training.state import TrainingState


class Model:
    """A run's trained generators; everything else that a prediction needs is in its checkpoint.

    Args:
        checkpoint: the checkpoint.
        recipe: its recipe.
        state: the networks, with the checkpoint's weights.
        dataset: reads patients as the recipe's dataset does.
    """

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, state: TrainingState, dataset: object) -> None:
        self.checkpoint = checkpoint
        self.recipe = recipe
        self.state = state
        self.dataset = dataset

    @property
    def roles(self) -> list[str]:
        """The translators that can predict."""
        return list(self.state.translators)

    def predict(
        self,
        patient: str | Path,
        out: str | Path | None = None,
        role: str | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """The synthesized volume of one patient, full field of view.

        Args:
            patient: a folder with the input modalities, as the dataset reads it; a target is not needed.
            out: NIfTI file to write, with the affine and header of the first input.
            role: the translator; the recipe's `predict` where absent.
            progress: shows a bar over slices.

        Returns:
            float32 (X, Y, Z) in LPS orientation. Intensities are those of the first input's scale times the ratio
            that targets had to it in training; the background is 0.

        Raises:
            UsageError: there is no such role.
            DataError: the patient cannot be read.
        """
        role = role or self.recipe.predict_role
        if role not in self.roles:
            raise UsageError(f"there is no translator {role!r}", where="role", mend=nearest(role, self.roles))
        if out is not None and not str(out).lower().endswith((".nii", ".nii.gz")):
            raise UsageError("a volume is written as NIfTI", where=out, mend="let the name end in .nii.gz or .nii")
        data = self.recipe.data
        subject = self.dataset.subject_at(Path(patient), data.inputs)  # type: ignore[attr-defined]
        volumes = self.dataset.read(subject, data.inputs, segmentation=False)  # type: ignore[attr-defined]
        slices = normalised_slices(volumes, data.inputs, data.spacing, normalisation(self.recipe))
        images = np.stack([slices.images[name] for name in data.inputs], axis=1)
        translated = self._translate(images, slices.foreground, role, progress or default_progress())
        scale = self._target_scale(slices.scales[data.inputs[0]])
        intensities = volume_of(scale.invert(translated, slices.foreground), volumes, data.spacing)
        # the share of brain that went into each voxel: without it the background would darken the brain's rim
        share = volume_of(slices.foreground.astype(np.float32), volumes, data.spacing)
        predicted = np.where(brain_of(volumes, data.inputs), intensities / np.maximum(share, 1e-3), np.float32(0))
        if out is not None:
            try:
                write_like(Path(out), predicted, subject.files[data.inputs[0]])
            except OSError as error:
                raise UsageError(
                    "the volume cannot be written",
                    where=out,
                    why=error.strerror or error,
                    mend="make room, or name another place",
                ) from error
        return predicted

    def _translate(self, images: np.ndarray, foreground: np.ndarray, role: str, progress: Progress) -> np.ndarray:
        """Slices `(Z, C, H, W)` through the generator, padded to a size it takes, `(Z, H, W)`; empty ones left out."""
        generator = self.state.generator(role)
        multiple = self.state.translators[role].size_multiple
        height, width = images.shape[-2:]
        # never below the size it was trained at: some networks cannot take less
        padded = tuple(
            max(-(-n // multiple) * multiple, trained)
            for n, trained in zip((height, width), self.recipe.data.crop, strict=True)
        )
        result = np.full((len(images), height, width), BACKGROUND, np.float32)
        full = np.flatnonzero(foreground.any(axis=(1, 2)))
        size = self.recipe.evaluation.batch
        with progress.task("Synthesizing", len(full)) as bar:
            for first in range(0, len(full), size):
                rows = full[first : first + size]
                result[rows] = self._batch(generator, centre(images[rows], padded, BACKGROUND), (height, width))
                bar.advance(len(rows))
        return result

    def _batch(self, generator: nn.Module, images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        autocast = autocasting(self.state.device, self.recipe.run.precision)
        with at_rest([generator]), autocast():
            output = generator(torch.from_numpy(images).to(self.state.device)).float()
        return centre(output[:, 0].cpu().numpy(), size)

    def _target_scale(self, first: Scale) -> Scale:
        """The scale of a target that was never acquired: the first input's, times the ratio seen in training."""
        ratio = self.checkpoint.facts["normalisation"]["target_scale"]
        return Scale(tuple(unit * ratio for unit in first.units), first.values)


def load(run: str | Path, *, device: str = "auto") -> Model:
    """The model of a run (folder or id), from its newest checkpoint.

    Raises:
        UsageError: there is no such run.
        CheckpointError: it has no checkpoint, or it is damaged.
    """
    folder = resolve_run(run)
    checkpoint = newest_checkpoint(folder / "checkpoints")
    if checkpoint is None:
        raise CheckpointError(
            "the run has no checkpoint yet", where=folder, mend="let it train for an epoch, or resume it"
        )
    recipe = load_recipe(folder / "recipe.toml")
    registry = load_plugins().registry
    assembly, scheduler = build(recipe, registry)
    state = TrainingState(recipe, assembly, scheduler, pick_device(device))
    restore_weights(state, checkpoint)
    return Model(checkpoint, recipe, state, make_dataset(recipe, registry))
