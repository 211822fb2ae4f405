"""Baselines without training: an unchanged input, the mean of the training targets, and a linear fit of the inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gantk.data.layout import Layout
from gantk.errors import EvaluationError, nearest
from gantk.evaluation.evaluate import Predictor
from gantk.recipe.evaluation import FITTED_BASELINES

if TYPE_CHECKING:
    from gantk.data.batch import Group

__all__ = ["baseline", "input_as_answer", "linear_fit", "training_mean"]


def baseline(name: str, layout: Layout, outputs: int, training: Iterator[Group]) -> Predictor:
    """The predictor for the name of a baseline, `input:NAME`, `training_mean` or `linear_fit`.

    Args:
        name: a name in the recipe's `evaluation.baselines`.
        layout: the channels of the sources.
        outputs: number of measured target channels.
        training: the paired training groups; read only by the fitted baselines.

    Raises:
        EvaluationError: for an unknown name or modality, or when there is no training target.
    """
    kind, _, modality = name.partition(":")
    if kind == "input" and modality:
        return input_as_answer(modality, layout, outputs)
    if name == "training_mean":
        return training_mean(training)
    if name == "linear_fit":
        return linear_fit(training)
    raise EvaluationError(
        f"there is no baseline {name!r}",
        where="evaluation.baselines",
        mend=nearest(name, [*FITTED_BASELINES, *(f"input:{i}" for i in layout.inputs)]),
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
        raise _no_pairs("training_mean")
    overall = total.sum(dim=(1, 2), keepdim=True) / count.sum()
    mean = torch.where(count > 0, total / count.clamp(min=1), overall).float()

    def predict(group: Group) -> Tensor:
        return torch.where(group.foreground, mean.to(_source(group).device), -1.0)

    return predict


def linear_fit(groups: Iterator[Group]) -> Predictor:
    """A predictor that returns a linear function of the input channels inside the brain, and -1 outside.

    The coefficients and the constant are the same in every pixel. They have the least squared error over the brain of
    the training slices; outputs are cut to [-1, 1]. Channels with categories are left out.

    Raises:
        EvaluationError: when no group has inputs and a target that show brain.
    """
    products: Tensor | None = None
    for group in groups:
        if group.target is None or group.source is None:
            continue
        inside = group.foreground[:, 0]
        seen, wanted = (channels.movedim(1, -1)[inside].double() for channels in (_regressors(group), group.target))
        added = seen.T @ torch.cat([seen, wanted], 1)
        products = added if products is None else products + added
    if products is None or not products.any():
        raise _no_pairs("linear_fit")
    count = len(products)
    # Channels may be copies of each other, or constant: the pseudoinverse then gives the smallest coefficients.
    fit = (torch.linalg.pinv(products[:, :count], hermitian=True) @ products[:, count:]).float()

    def predict(group: Group) -> Tensor:
        fitted = torch.einsum("bc...,ct->bt...", _regressors(group), fit.to(_source(group).device))
        return torch.where(group.foreground, fitted.clamp(-1, 1), -1.0)

    return predict


def _regressors(group: Group) -> Tensor:
    """The source's channels that are no categories, and a channel of ones: `(B, C, *spatial)`."""
    source = _source(group)
    kept = [number for number in range(source.shape[1]) if number not in group.categories]
    return torch.cat([source[:, kept], torch.ones_like(source[:, :1])], 1)


def _no_pairs(name: str) -> EvaluationError:
    return EvaluationError(
        f"the baseline {name} needs paired training slices, but there are none",
        where="evaluation.baselines",
        mend=f"raise data.paired_fraction, or remove {name} from the baselines",
    )


def _source(group: Group) -> Tensor:
    if group.source is None:
        raise EvaluationError("a baseline needs the input images, but the group has none")
    return group.source
