"""Balances: how several terms of one translator are weighted relative to each other."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gantk import GantkError, NonNegative, Positive, View, nearest

__all__ = ["GradNorm", "GradientRatio", "Uncertainty"]


class Uncertainty(nn.Module):
    """Learned uncertainty: Σ_i exp(−s_i)·L_i + s_i, with a weight s_i = log σ_i² for each term, 0 at first.

    Source: Kendall et al., "Multi-task learning using uncertainty to weigh losses", CVPR 2018.

    Args:
        terms: names of the balanced terms.
    """

    def __init__(self, terms: tuple[str, ...]) -> None:
        super().__init__()
        self.terms = terms
        self.log_variances = nn.Parameter(torch.zeros(len(terms)))

    def forward(self, losses: Mapping[str, Tensor], view: View) -> Tensor:
        learned = dict(zip(self.terms, self.log_variances, strict=True))
        return torch.stack([(-learned[name]).exp() * loss + learned[name] for name, loss in losses.items()]).sum()


class GradientRatio(nn.Module):
    """Equal gradients: L_r + Σ_i min(‖∇L_r‖ / (‖∇L_i‖ + δ), c)·L_i, with gradients ∇ w.r.t. the output, δ = 10⁻⁶.

    Each term changes the output as strongly as the reference r does; its weight has no gradient. The published code
    uses gradients w.r.t. the weights of the last layer. Source: Esser et al., "Taming transformers for high-resolution
    image synthesis" (VQGAN), CVPR 2021, equation 7.

    Args:
        terms: names of the balanced terms.
        reference: r, the name of the reference term, one of `terms`.
        limit: c, the largest factor on a term.

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
        reference = _strength(losses[self.reference], view)
        total = losses[self.reference]
        for name, loss in losses.items():
            if name != self.reference:
                total = total + (reference / (_strength(loss, view) + 1e-6)).clamp(max=self.limit) * loss
        return total


class GradNorm(nn.Module):
    """Terms with gradients of similar strength that learn equally fast: Σ_i w_i·L_i, with learned weights w_i.

    The weights minimize Σ_i |w_i·n_i − n̄·r_i^α|, where n_i = ‖∇L_i‖ w.r.t. the output, n̄ is the mean of w_i·n_i, and
    r_i is L_i divided by its first value, relative to the mean of the terms: a term that learns more slowly gets a
    larger weight. The sum of the weights stays at the number of terms. The paper uses gradients w.r.t. the weights of
    the last shared layer. Source: Chen et al., "GradNorm: gradient normalization for adaptive loss balancing in deep
    multitask networks", ICML 2018, equations 1 and 2.

    Args:
        terms: names of the balanced terms.
        alpha: α, how strongly slower terms are weighted up.
    """

    first: Tensor

    def __init__(self, terms: tuple[str, ...], alpha: NonNegative = 1.5) -> None:
        super().__init__()
        self.terms, self.alpha = terms, alpha
        self.weights = nn.Parameter(torch.ones(len(terms)))
        self.register_buffer("first", torch.zeros(len(terms)))  # 0: not seen yet

    def forward(self, losses: Mapping[str, Tensor], view: View) -> Tensor:
        there = [self.terms.index(name) for name in losses]
        values = torch.stack([loss.detach() for loss in losses.values()])
        with torch.no_grad():
            self.weights.clamp_(min=1e-3).mul_(len(self.terms) / self.weights.sum())
            self.first[there] = torch.where(self.first[there] == 0, values, self.first[there])
        weights = self.weights[there]
        strengths = weights * torch.stack([_strength(loss, view) for loss in losses.values()])
        slowness = values / self.first[there].clamp(min=1e-12)
        wanted = strengths.mean() * (slowness / slowness.mean().clamp(min=1e-12)) ** self.alpha
        balanced = torch.stack([weight * loss for weight, loss in zip(weights.detach(), losses.values(), strict=True)])
        return balanced.sum() + (strengths - wanted.detach()).abs().sum()


def _strength(loss: Tensor, view: View) -> Tensor:
    """The norm of a loss's gradient w.r.t. the output, without gradient."""
    (slope,) = torch.autograd.grad(loss, view.output, retain_graph=True, allow_unused=True)
    return loss.new_zeros(()) if slope is None else slope.norm()
