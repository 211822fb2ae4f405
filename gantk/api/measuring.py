"""Metrics of a prediction with a known target, computed by slice as in `gantk evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock

import numpy as np
import torch

from gantk.api.assessment import in_units, make_metrics
from gantk.api.model import Model
from gantk.api.preparing import Prepared
from gantk.data.batch import Group
from gantk.data.normalisation import BACKGROUND
from gantk.data.planes import centre
from gantk.data.slices import Slices
from gantk.evaluation.evaluate import evaluate
from gantk.evaluation.protocols import AnyMetric, slice_metrics, volume_metrics
from gantk.evaluation.regions import regions_apart
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress

__all__ = ["Measure"]


class Measure:
    """Measures predictions of one target for subjects whose target is known.

    Args:
        models: the models whose images are averaged; the first one's recipe names the metrics.
        target: the modality that they synthesize.
    """

    def __init__(self, models: Sequence[Model], target: str) -> None:
        self.models, self.target = models, target
        self._one = Lock()  # metrics may not be thread-safe, and concurrent first calls would see half-imported modules

    @cached_property
    def _metrics(self) -> Mapping[str, AnyMetric]:
        first = self.models[0]
        made = make_metrics(first.recipe, load_plugins().registry)
        metrics: dict[str, AnyMetric] = {**slice_metrics(made), **volume_metrics(made)}
        return in_units(metrics, first.meaning, [self.target], first.layout.channels)

    def __call__(self, prepared: Sequence[Prepared], translated: Sequence[np.ndarray]) -> Mapping[str, float]:
        """The recipe's metrics by column: the mean over slices, NaN if no slice has the region.

        Slices are cropped to `data.crop`, as in an evaluation; pictures are measured at the size of the translation.
        Outside the foreground the prediction is background.

        Args:
            prepared: the prepared subject of each model.
            translated: the translation by each model.

        Returns:
            An empty dictionary if the subject has no target.

        Raises:
            DataError: the target cannot be read.
        """
        first, model = prepared[0], self.models[0]
        if self.target not in first.subject.files:
            return {}
        truth = self._truth(model, first)
        own = truth.scales[self.target]
        images = np.stack(
            [
                other.meaning.scale(self.target, own).moved(image[:, : first.channels], own)
                for other, image in zip(self.models, translated, strict=True)
            ]
        ).mean(0, dtype=np.float32)
        rows = np.flatnonzero(truth.foreground.any(axis=(1, 2)))
        crop = model.recipe.data.crop if truth.pixel is not None else truth.foreground.shape[1:]
        inside = centre(truth.foreground[rows], crop, False)[:, None]
        target = centre(truth.images[self.target].reshape(images.shape)[rows], crop, BACKGROUND)
        made = np.where(inside, centre(images[rows], crop, BACKGROUND), np.float32(BACKGROUND))
        labels = truth.segmentation
        segmentation = np.zeros(truth.foreground.shape, np.uint8) if labels is None else labels
        name = first.subject.id
        group = Group(
            source=torch.from_numpy(np.where(inside, 1, BACKGROUND).astype(np.float32)),
            target=torch.from_numpy(target),
            segmentation=torch.from_numpy(centre(model.meaning.labels.canonical(segmentation)[rows], crop)[:, None]),
            patients=(name,) * len(rows),
            slices=tuple(rows.tolist()),
        )
        asked = model.recipe.evaluation.regions
        with self._one:
            found = evaluate(
                {first.role: lambda _: torch.from_numpy(made)},
                lambda _: iter([group]),
                [name],
                self._metrics,
                regions_apart(asked, background=not truth.foreground.all(), labels=labels is not None),
                device="cpu",
                progress=QuietProgress(),
                split_hash="",
            )
        return found.rows[0].values

    def _truth(self, model: Model, prepared: Prepared) -> Slices:
        """The subject's slices with its target and segmentation; the foreground is that of the prediction."""
        mask = prepared.settings.mask
        names = dict.fromkeys([*prepared.inputs, *([mask] if mask else []), self.target])
        read = model.dataset.read(prepared.subject, list(names))
        if hasattr(read, "sized"):
            read = read.sized(prepared.settings.crop)
        return model.preparation.slices(read, prepared.subject, prepared.inputs, prepared.settings)
