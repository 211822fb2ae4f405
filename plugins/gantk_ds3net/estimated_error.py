"""A difficulty map from errors: a network learns how wrong others are on patients whom they were not trained on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gantk import Count, Distinct, Fraction, Needs, NonNegative, Positive, Role, View
from gantk_baselines.dimensional import resampled
from gantk_ds3net.committee import relative

__all__ = ["ErrorEstimation", "EstimatedError"]


class ErrorEstimation:
    """Mean of m·(1 + G_E(x) − |y − G(x)|)² with the term's weight map m: the term's translator E learns the error of G.

    The images are in [−1, 1], so their errors are in [0, 2], and the outputs G_E(x) in [−1, 1] plus 1 are too. The
    square makes 1 + G_E(x) an estimate of the mean absolute error, pixel by pixel. The error has no gradient: G does
    not learn from this term.

    The group of this term should have patients on whom G was not trained: its error on its own training patients says
    little about others. Two networks on the two halves of the pairs give errors for all pairs (cross-fitting).

    A network that predicts another's loss is known from active learning (Yoo and Kweon, "Learning Loss for Active
    Learning", CVPR 2019). The regression pixel by pixel for a difficulty map is our own and not part of DS³-Net.

    Args:
        of: the translator G whose error is learned; it has the same targets as the term's translator.
    """

    def __init__(self, of: Role) -> None:
        self.needs = Needs(roles=(of,), target=True)
        self.of = of

    def __call__(self, view: View) -> Tensor:
        error = (view.target - view.translate(role=self.of, grad=False)).abs()
        return view.weighted_mean((1 + view.output - error).square())


class EstimatedError:
    """Where an error is expected: 1 + strength·(êᵖ/ē − 1) in the foreground, a small constant in the background.

    ê is the error that translators with the term `error_estimation` expect, averaged over them, over several targets
    and over patches, and interpolated between the patches' centers; ē is the mean of êᵖ over the foreground, so the
    mean of the map there is 1. The map is a difficulty map in the sense of DS³-Net, whose own map, `difficulty`, is
    high in the patches where the discriminator recognizes the output (docs/results.md compares them). It needs no
    target, so it can weight terms of unpaired patients.

    Args:
        estimators: the translators that expect errors.
        patch: side of the patches in pixels, whose foreground is averaged; 1 for the error of each pixel.
        power: the exponent p, 1 for a term of absolute errors, 2 for a term of squared errors.
        strength: from 0, the same weight everywhere, to 1, weights that are proportional to êᵖ.
        background: weight where every input is background.
    """

    def __init__(
        self,
        estimators: Distinct[Role],
        patch: Count = 4,
        power: Positive = 1.0,
        strength: Fraction = 1.0,
        background: NonNegative = 0.2,
    ) -> None:
        self.needs = Needs(roles=estimators)
        self.estimators = estimators
        self.patch = patch
        self.power = power
        self.strength = strength
        self.background = background

    def __call__(self, view: View) -> Tensor:
        outputs = [view.translate(role=role, grad=False) for role in self.estimators]
        expected = (1 + torch.stack(outputs).mean(0)).mean(dim=1, keepdim=True)
        if self.patch > 1:
            expected = _of_patches(expected, view.foreground, self.patch)
        return relative(expected.pow(self.power), view.foreground, self.strength, self.background)


def _of_patches(values: Tensor, foreground: Tensor, patch: int) -> Tensor:
    """The mean of each patch's foreground `(B, 1, *spatial)`, interpolated to the image's size."""
    size = values.shape[2:]
    patches = [max(1, side // patch) for side in size]
    inside = foreground.to(values.dtype)
    sums = [F.interpolate(image, patches, mode="area") for image in (values * inside, inside)]
    total, share = (resampled(image, size, "linear") for image in sums)
    return total / share.clamp(min=torch.finfo(values.dtype).tiny)
