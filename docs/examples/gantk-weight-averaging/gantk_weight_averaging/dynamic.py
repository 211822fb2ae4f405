"""Dynamic weight average: what falls slowly from epoch to epoch counts more in the next one."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import gantk


class DynamicWeights(nn.Module):
    """Σ_k λ_k·L_k with λ_k = K·exp(r_k/T) / Σ_i exp(r_i/T), r_k the ratio of L_k's means in the last two epochs.

    In the first two epochs, of which there is no ratio yet, every λ is 1. Source: Liu et al., "End-to-end multi-task
    learning with attention", CVPR 2019, equation 7.

    Args:
        terms: the terms' names.
        temperature: T; the larger, the more alike the weights.
    """

    means: Tensor  # (2, K): of the last epoch and of the one before; 0 where there was none
    sums: Tensor  # (2, K): of this epoch's losses, and how many there were
    epoch: Tensor

    def __init__(self, terms: tuple[str, ...], temperature: gantk.Positive = 2.0) -> None:
        super().__init__()
        self.terms, self.temperature = terms, temperature
        # buffers are in checkpoints, so that a resumed run goes on as it was
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
        """Begin an epoch: this one's means are the last one's from now on."""
        self.means[1] = self.means[0]
        self.means[0] = self.sums[0] / self.sums[1].clamp(min=1)
        self.sums.zero_()
        self.epoch.fill_(epoch)
