"""Dual-level distillation: the student follows the teacher's images and features (DS³-Net, eq. 5 and 6)."""

from __future__ import annotations

import torch
from torch import Tensor

from gantk import Distinct, Needs, Role, View, Whole

__all__ = ["FeatureDistillation", "ImageDistillation"]


class ImageDistillation:
    """Mean of m·|G_T(x) − G_S(x)| with the term's weight map m (DS³-Net, eq. 5).

    Args:
        teacher: the translator that is followed.
        gradient_to_teacher: whether this term also trains the teacher.
    """

    def __init__(self, teacher: Role = Role("teacher"), gradient_to_teacher: bool = False) -> None:
        self.needs = Needs(roles=(teacher,))
        self.teacher = teacher
        self.gradient_to_teacher = gradient_to_teacher

    def __call__(self, view: View) -> Tensor:
        fine = view.translate(role=self.teacher, grad=self.gradient_to_teacher)
        return view.weighted_mean((fine - view.output).abs())


class FeatureDistillation:
    """1/K·Σ_k mean of m_k·|f_k^T − f_k^S| over K layers, with the map resized to each layer (DS³-Net, eq. 6).

    Args:
        teacher: the translator that is followed.
        layers: the layers k.
        gradient_to_teacher: whether this term also trains the teacher.
    """

    def __init__(
        self,
        teacher: Role = Role("teacher"),
        layers: Distinct[Whole] = (4, 8, 12, 16, 21),
        gradient_to_teacher: bool = False,
    ) -> None:
        self.needs = Needs(layers=layers, roles=(teacher,), output=False)
        self.teacher = teacher
        self.layers = layers
        self.gradient_to_teacher = gradient_to_teacher

    def __call__(self, view: View) -> Tensor:
        fine = view.features(layers=self.layers, role=self.teacher, grad=self.gradient_to_teacher)
        coarse = view.features(layers=self.layers)
        return torch.stack([view.weighted_mean((fine[k] - coarse[k]).abs()) for k in self.layers]).mean()
