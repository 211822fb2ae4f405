"""Baselines without training: an unchanged input, and the mean of the training targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gantk.data.layout import Layout
from gantk.errors import EvaluationError, nearest
from gantk.evaluation.evaluate import Predictor

if TYPE_CHECKING:
    from gantk.data.batch import Group

__all__ = ["baseline", "input_as_answer", "training_mean"]


def baseline(name: str, layout: Layout, outputs: int, training: Iterator[Group]) -> Predictor:
    """The predictor for the name of a baseline, `input:NAME` or `training_mean`.

    Args:
        name: a name in the recipe's `evaluation.baselines`.
        layout: the channels of the sources.
        outputs: number of measured target channels.
        training: the paired training groups; read only for `training_mean`.

    Raises:
        EvaluationError: for an unknown name or modality, or when there is no training target.
    """
    kind, _, modality = name.partition(":")
    if kind == "input" and modality:
        return input_as_answer(modality, layout, outputs)
    if name == "training_mean":
        return training_mean(training)
    raise EvaluationError(
        f"there is no baseline {name!r}",
        where="evaluation.baselines",
        mend=nearest(name, ["training_mean", *(f"input:{i}" for i in layout.inputs)]),
    )


def input_as_answer(modality: str, layout: Layout, outputs: int = 1) -> Predictor:
    """A predictor that returns one input modality for each of `outputs` target channels.

    Raises:
        EvaluationError: when the recipe has no such input.
    """
    if modality not in layout.inputs:
        raise EvaluationError(
            f"the baseline names the input {modality!r}, which the recipe does not have",
            where="evaluation.baselines",
            mend=nearest(modality, layout.inputs),
        )
    channels = list(layout.image("source", modality))

    def predict(group: Group) -> Tensor:
        return _source(group)[:, channels].repeat(1, outputs // len(channels), 1, 1)

    return predict


def training_mean(groups: Iterator[Group]) -> Predictor:
    """A predictor that returns the mean of the training targets inside the brain, and -1 outside.

    A pixel's mean is taken over the training slices in which it is brain. A pixel that is never brain gets the mean of
    all brain pixels.

    Raises:
        EvaluationError: when no group has a target that shows brain.
    """
    total: Tensor | None = None
    count: Tensor | None = None
    for group in groups:
        if group.target is None:
            continue
        inside = group.foreground
        added = torch.where(inside, group.target.double(), 0).sum(dim=0)
        counted = inside.sum(dim=0)
        total = added if total is None else total + added
        count = counted if count is None else count + counted
    if total is None or count is None or not count.any():
        raise EvaluationError(
            "the mean of the training targets needs paired training slices, but there are none",
            where="evaluation.baselines",
            mend="raise data.paired_fraction, or remove training_mean from the baselines",
        )
    overall = total.sum(dim=(1, 2), keepdim=True) / count.sum()
    mean = torch.where(count > 0, total / count.clamp(min=1), overall).float()

    def predict(group: Group) -> Tensor:
        return torch.where(group.foreground, mean.to(_source(group).device), -1.0)

    return predict


def _source(group: Group) -> Tensor:
    if group.source is None:
        raise EvaluationError("a baseline needs the input images, but the group has none")
    return group.source
