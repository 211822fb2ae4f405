"""Balances: how several terms of one translator count beside one another."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gantk import GantkError, Positive, View, nearest

__all__ = ["GradientRatio", "Uncertainty"]


class Uncertainty(nn.Module):
    """Learned uncertainty: Σ_i exp(−s_i)·L_i + s_i, with a weight s_i = log σ_i² for each term, 0 at first.

    Source: Kendall et al., "Multi-task learning using uncertainty to weigh losses", CVPR 2018.

    Args:
        terms: the terms' names.
    """

    def __init__(self, terms: tuple[str, ...]) -> None:
        super().__init__()
        self.terms = terms
        self.log_variances = nn.Parameter(torch.zeros(len(terms)))

    def forward(self, losses: Mapping[str, Tensor], view: View) -> Tensor:
        learned = dict(zip(self.terms, self.log_variances, strict=True))
        return torch.stack([(-learned[name]).exp() * loss + learned[name] for name, loss in losses.items()]).sum()


class GradientRatio(nn.Module):
    """Equal gradients: L_r + Σ_i min(‖∇L_r‖ / (‖∇L_i‖ + δ), c)·L_i, with gradients by the output and δ = 10⁻⁶.

    Each term changes the output as strongly as the reference r does; its weight has no gradient. In the published code
    gradients are by the last layer's weights. Source: Esser et al., "Taming transformers for high-resolution image
    synthesis" (VQGAN), CVPR 2021, equation 7.

    Args:
        terms: the terms' names.
        reference: r, one of them.
        limit: c.

    Raises:
        GantkError: the reference is none of the terms.
    """

    def __init__(self, terms: tuple[str, ...], reference: str, limit: Positive = 1e4) -> None:
        super().__init__()
        if reference not in terms:
            raise GantkError("no such term is balanced", where="reference", mend=nearest(reference, terms))
        self.reference, self.limit = reference, limit

    def forward(self, losses: Mapping[str, Tensor], view: View) -> Tensor:
        if self.reference not in losses:
            return torch.stack(list(losses.values())).sum()
        output = view.output

        def strength(loss: Tensor) -> Tensor:
            (slope,) = torch.autograd.grad(loss, output, retain_graph=True, allow_unused=True)
            return loss.new_zeros(()) if slope is None else slope.norm()

        reference = strength(losses[self.reference])
        total = losses[self.reference]
        for name, loss in losses.items():
            if name != self.reference:
                total = total + (reference / (strength(loss) + 1e-6)).clamp(max=self.limit) * loss
        return total
