"""Distillation of features from a teacher of another width (FitNets)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from gantk import Distinct, Needs, PluginError, Role, Sizes, View, Whole

__all__ = ["ProjectedDistillation", "Regressors"]


class Regressors(nn.Module):
    """One 1×1 convolution per layer, features `(B, C_student, *spatial)` to `(B, C_teacher, *spatial)` by layer.

    Args:
        channels: the student's channels by layer.
        others: the teacher's.
        dimensions: number of dimensions of an image, 2 or 3.
    """

    def __init__(self, channels: Mapping[int, int], others: Mapping[int, int], dimensions: int = 2) -> None:
        super().__init__()
        convolution = nn.Conv3d if dimensions == 3 else nn.Conv2d
        self.layers = nn.ModuleDict({str(k): convolution(c, others[k], 1) for k, c in channels.items()})
        for layer in self.layers.values():
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Mapping[int, Tensor]) -> dict[int, Tensor]:
        return {k: self.layers[str(k)](feature) for k, feature in features.items()}


class ProjectedDistillation:
    """1/K·Σ_k mean of m_k·½·(f_k^T − r_k(f_k^S))² over K layers: the student's features, projected to the teacher's
    channels by learned 1×1 convolutions r_k, follow the teacher's features (Romero et al., "FitNets", ICLR 2015, eq. 3,
    there for one layer).

    Terms that follow one teacher at the same layers share the convolutions. The teacher gets no gradient and runs only
    up to the last of the layers. The weight map m is resized to each layer's size.

    Args:
        teacher: the translator that is followed; the same layer numbers must name maps of the same size in both.
        layers: the layers k.
        distance: l2 as above, or l1: m_k·|f_k^T − r_k(f_k^S)|.
    """

    shared = "projected_distillation"

    def __init__(
        self,
        teacher: Role = Role("teacher"),
        layers: Distinct[Whole] = (1, 3, 5),
        distance: Literal["l2", "l1"] = "l2",
    ) -> None:
        self.needs = Needs(layers=layers, roles=(teacher,), output=False)
        self.teacher = teacher
        self.layers = layers
        self.distance = distance

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        """The convolutions from the student's channels by layer to those of the teacher."""
        return {"generator": Regressors(sizes.features, sizes.others[self.teacher], len(sizes.image))}

    def __call__(self, view: View) -> Tensor:
        wanted = view.features(layers=self.layers, role=self.teacher, grad=False)
        own = view.project(view.features(layers=self.layers))
        return torch.stack([view.weighted_mean(self._error(k, wanted[k], own[k])) for k in self.layers]).mean()

    def _error(self, layer: int, wanted: Tensor, own: Tensor) -> Tensor:
        if wanted.shape != own.shape:
            raise PluginError(
                f"layer {layer} is {tuple(wanted.shape)} in {self.teacher!r} and {tuple(own.shape)} in the student",
                where="projected_distillation",
                mend="name layers whose maps have the same size in both generators",
            )
        difference = wanted - own
        return difference.abs() if self.distance == "l1" else 0.5 * difference.square()
