"""Dynamic weight average: losses that decrease slowly get larger weights in the next epoch."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import gantk


class DynamicWeights(nn.Module):
    """Σ_k λ_k·L_k with λ_k = K·exp(r_k/T) / Σ_i exp(r_i/T), r_k the ratio of L_k's means in the last two epochs.

    In the first two epochs there is no ratio yet, and every λ is 1. Source: Liu et al., "End-to-end multi-task
    learning with attention", CVPR 2019, equation 7.

    Args:
        terms: the terms' names.
        temperature: T; larger values make the weights more equal.
    """

    means: Tensor  # (2, K): means of the last two epochs; 0 before them
    sums: Tensor  # (2, K): sums and counts of this epoch's losses
    epoch: Tensor

    def __init__(self, terms: tuple[str, ...], temperature: gantk.Positive = 2.0) -> None:
        super().__init__()
        self.terms, self.temperature = terms, temperature
        # checkpoints contain buffers, so a resumed run continues exactly
        self.register_buffer("means", torch.zeros(2, len(terms)))
        self.register_buffer("sums", torch.zeros(2, len(terms)))
        self.register_buffer("epoch", torch.tensor(-1))

    @property
    def weights(self) -> Tensor:
        """λ, (K,), with the mean 1."""
        known = (self.means != 0).all(dim=0)
        ratios = torch.where(known, self.means[0] / torch.where(known, self.means[1], 1.0), 1.0)
        return len(self.terms) * torch.softmax(ratios / self.temperature, dim=0)

    def forward(self, losses: Mapping[str, Tensor], view: gantk.View) -> Tensor:
        if int(self.epoch) != view.moment.epoch:
            self._next(view.moment.epoch)
        places = [self.terms.index(name) for name in losses]
        values = torch.stack(list(losses.values()))
        with torch.no_grad():
            self.sums[0, places] += values.detach()
            self.sums[1, places] += 1
        weights = self.weights[places]
        for name, weight in zip(losses, weights, strict=True):
            view.log(f"weight {name}", weight)
        return (weights * values).sum()

    @torch.no_grad()
    def _next(self, epoch: int) -> None:
        """Begin an epoch: the means of the current epoch become those of the last one."""
        self.means[1] = self.means[0]
        self.means[0] = self.sums[0] / self.sums[1].clamp(min=1)
        self.sums.zero_()
        self.epoch.fill_(epoch)
