"""Distillation from a committee: the student follows its teachers where they agree, and its input where they do not."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gantk import Distinct, GantkError, Needs, NonNegative, Role, View

__all__ = ["CommitteeDistillation", "agreed"]


class CommitteeDistillation:
    """Mean of m·(y* − G_S(x))² or m·|y* − G_S(x)| with the term's weight map m, where y* is what teachers agree on.

    Teacher i answers G_i(x) on n views of the source, which makes K changes δ = G_i(x) − s of the image s that the
    student changes (its `residual`). With their mean μ and unbiased variance σ² over the K, pixel by pixel,

        y* = s + μ·μ² / (μ² + c·σ²)

    is their mean where they agree, and s where they disagree: a change that only one teacher knows of is not learnt.
    Teachers that were trained on different patients disagree in what is particular to a patient. y* has no gradient.

    The factor is Wiener's, signal power over signal and noise power (Wiener, "Extrapolation, Interpolation, and
    Smoothing of Stationary Time Series", 1949), with the power of the signal estimated by μ² itself; that a mean is
    better shrunk toward a guess is Stein's finding ("Inadmissibility of the usual estimator for the mean of a
    multivariate normal distribution", 1956). To distill teachers in this way is our own; it is no part of DS³-Net.

    Args:
        teachers: the translators that are followed; they take what the student takes.
        views: 1, the slices as they are; 2, also their mirror images, whose answers are mirrored back.
        shrink: the factor c on the variance; 0 for the plain mean.
        distance: l2 (the square) or l1.

    Raises:
        GantkError: there is a single answer to shrink, which has no variance.
    """

    def __init__(
        self,
        teachers: Distinct[Role],
        views: Literal[1, 2] = 2,
        shrink: NonNegative = 1.0,
        distance: Literal["l2", "l1"] = "l2",
    ) -> None:
        if len(teachers) * views < (2 if shrink else 1):
            raise GantkError(
                f"{len(teachers)} teachers with {views} views have no variance",
                where="committee_distillation",
                mend="name two teachers at least, or ask one for views = 2",
            )
        self.needs = Needs(roles=teachers, start=True)
        self.teachers = teachers
        self.views = views
        self.shrink = shrink
        self.distance = distance

    def __call__(self, view: View) -> Tensor:
        answers = [view.translate(view.source, role, grad=False) for role in self.teachers]
        if self.views == 2:
            mirrored = view.derive("mirrored", view.source, _mirrored)
            answers += [_mirrored(view.translate(mirrored, role, grad=False)) for role in self.teachers]
        wanted = agreed(view.start, torch.stack(answers), self.shrink)
        error = wanted - view.output
        return view.weighted_mean(error.abs() if self.distance == "l1" else error.square())


def agreed(start: Tensor, answers: Tensor, shrink: float) -> Tensor:
    """What K answers `(K, B, T, H, W)` agree on, between a start `(B, T, H, W)` and their mean."""
    changes = answers - start
    mean = changes.mean(0)
    if not shrink:
        return start + mean
    power = mean.square()
    noise = shrink * changes.var(0)
    return start + mean * power / (power + noise).clamp(min=torch.finfo(power.dtype).tiny)


def _mirrored(image: Tensor) -> Tensor:
    return image.flip(-1)
