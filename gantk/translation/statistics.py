"""Batch norms that are only looked at keep their running statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["keeping_statistics"]


@contextmanager
def keeping_statistics(network: nn.Module) -> Iterator[None]:
    """A context in which batch norms in training mode use the statistics of their batch, as always, but do not add them
    to their running statistics."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
