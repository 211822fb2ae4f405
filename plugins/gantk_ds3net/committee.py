"""Distillation from a committee: the student follows its teachers where they agree; elsewhere it keeps its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from gantk import Distinct, Fraction, GantkError, Needs, NonNegative, Role, View
from gantk_baselines.dimensional import everything

__all__ = ["CommitteeDistillation", "Disagreement", "agreed", "relative"]


class CommitteeDistillation:
    """Mean of m·(y* − G_S(x))² or m·|y* − G_S(x)| with the term's weight map m, where y* is what teachers agree on.

    The teachers' outputs G_i(x) on n views of the source give K changes δ = G_i(x) − s of the image s that the student
    changes (its `residual`). With the mean μ and unbiased variance σ² of these K changes, pixel by pixel,

        y* = s + μ·μ² / (μ² + c·σ²)

    is the mean output where the teachers agree, and s where they disagree: a change that only one teacher makes is not
    learned. Teachers that were trained on different patients disagree about details of single patients. y* has no
    gradient.

    The factor is Wiener's ratio of signal power to signal plus noise power (Wiener, "Extrapolation, Interpolation, and
    Smoothing of Stationary Time Series", 1949), with the signal power estimated by μ². Stein showed that shrinking a
    mean improves the estimate ("Inadmissibility of the usual estimator for the mean of a multivariate normal
    distribution", 1956). This distillation is our own method and not part of DS³-Net.

    Args:
        teachers: the translators that the student follows.
        views: 1, the slices; 2, also their mirror images, with the outputs mirrored back.
        shrink: the factor c on the variance; 0 for the plain mean.
        distance: l2 (the square) or l1.

    Raises:
        GantkError: there is only one output to shrink, which has no variance.
    """

    def __init__(
        self,
        teachers: Distinct[Role],
        views: Literal[1, 2] = 2,
        shrink: NonNegative = 1.0,
        distance: Literal["l2", "l1"] = "l2",
    ) -> None:
        _check_several(len(teachers) * views, 2 if shrink else 1, "committee_distillation")
        self.needs = Needs(roles=teachers, start=True)
        self.teachers = teachers
        self.views = views
        self.shrink = shrink
        self.distance = distance

    def __call__(self, view: View) -> Tensor:
        wanted = agreed(view.start.detach(), answers(view, self.teachers, self.views), self.shrink)
        error = wanted - view.output
        return view.weighted_mean(error.abs() if self.distance == "l1" else error.square())


class Disagreement:
    """Where teachers disagree: 1 + strength·(σ/σ̄ − 1) in the foreground, a small constant in the background.

    σ is the standard deviation of the teachers' answers, pixel by pixel, and σ̄ its mean over the foreground;
    the mean of the map there is 1. Teachers that were trained on different patients disagree where these patients do
    not determine the output, so the map is often, but not always, higher in tumors (docs/results.md). Disagreement of
    networks measures uncertainty in "query by committee" (Seung et al., COLT 1992) and deep ensembles (Lakshminarayanan
    et al., NeurIPS 2017). Its use as a difficulty map is our own; DS³-Net's map is `difficulty`.

    Args:
        teachers: the translators that are compared.
        views: 1, the slices; 2, also their mirror images, with the outputs mirrored back.
        strength: from 0, the same weight everywhere, to 1, weights that are proportional to σ.
        background: weight where every input is background.

    Raises:
        GantkError: there is only one output, so there is no disagreement.
    """

    def __init__(
        self,
        teachers: Distinct[Role],
        views: Literal[1, 2] = 2,
        strength: Fraction = 0.5,
        background: NonNegative = 0.2,
    ) -> None:
        _check_several(len(teachers) * views, 2, "disagreement")
        self.needs = Needs(roles=teachers)
        self.teachers = teachers
        self.views = views
        self.strength = strength
        self.background = background

    def __call__(self, view: View) -> Tensor:
        spread = answers(view, self.teachers, self.views).std(0).mean(dim=1, keepdim=True)  # over several targets
        return relative(spread, view.foreground, self.strength, self.background)


def relative(values: Tensor, foreground: Tensor, strength: float, background: float) -> Tensor:
    """Weights 1 + strength·(v/v̄ − 1) in the foreground, with the mean v̄ of each image there; a constant elsewhere.

    Args:
        values: v ≥ 0, `(B, 1, *spatial)`.
        foreground: boolean, of the same shape; where all its values are 0, the weights are 1.
        strength: from 0, the same weight everywhere, to 1, weights that are proportional to v.
        background: the weight outside the foreground.
    """
    inside = torch.where(foreground, values, 0.0)
    pixels = foreground.sum(dim=everything(inside), keepdim=True).clamp(min=1)
    mean = inside.sum(dim=everything(inside), keepdim=True) / pixels
    ratio = torch.where(mean > 0, values / mean.clamp(min=torch.finfo(values.dtype).tiny), 1.0)
    return torch.where(foreground, 1 + strength * (ratio - 1), background)


def answers(view: View, teachers: Sequence[str], views: int) -> Tensor:
    """The K = views · teachers outputs for the term's slices, `(K, B, T, *spatial)`, without gradient."""
    made = [view.translate(role=role, grad=False) for role in teachers]
    if views == 2:
        mirrored = view.mirrored()
        made += [mirrored.translate(role=role, grad=False).flip(-1) for role in teachers]
    return torch.stack(made)


def agreed(start: Tensor, answers: Tensor, shrink: float) -> Tensor:
    """The agreement of K outputs `(K, B, T, H, W)`, between a start `(B, T, H, W)` and the mean output."""
    changes = answers - start
    mean = changes.mean(0)
    if not shrink:
        return start + mean
    power = mean.square()
    noise = shrink * changes.var(0)
    return start + mean * power / (power + noise).clamp(min=torch.finfo(power.dtype).tiny)


def _check_several(count: int, least: int, where: str) -> None:
    if count < least:
        raise GantkError(
            f"{count} teacher output{'' if count == 1 else 's'} cannot disagree: at least two are needed",
            where=where,
            mend="name at least two teachers, or set views = 2",
        )
