"""Images larger than a network is given at once: overlapping windows whose outputs are blended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["in_windows"]

OVERLAP = 0.25  # of a window, at least, that the next one shows again


def in_windows(network: Callable[[np.ndarray], np.ndarray], images: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """A network's output on images, computed window by window if they are larger than a window.

    Where windows overlap, their outputs are averaged with weights that fall linearly toward a window's edges.

    Args:
        network: (B, C, h, w) float32 to (B, T, h, w).
        images: (B, C, H, W) float32, H and W at least those of the window.
        window: (h, w).

    Returns:
        (B, T, H, W) float32.
    """
    height, width = window
    if images.shape[-2:] == window:
        return network(images)
    weight = np.multiply.outer(_profile(height), _profile(width))
    total, weights = None, np.zeros(images.shape[-2:], np.float32)
    for top in _starts(images.shape[-2], height):
        for left in _starts(images.shape[-1], width):
            place = np.s_[..., top : top + height, left : left + width]
            output = network(images[place])
            if total is None:
                total = np.zeros((*output.shape[:2], *images.shape[-2:]), np.float32)
            total[place] += weight * output
            weights[place] += weight
    assert total is not None
    return total / weights


def _starts(length: int, window: int) -> list[int]:
    """Where windows begin, evenly spread from one end to the other."""
    steps = -(-(length - window) // max(1, int(window * (1 - OVERLAP))))
    return np.linspace(0, length - window, steps + 1).round().astype(int).tolist()


def _profile(length: int) -> np.ndarray:
    """Weights across a window, above 0 to its edges."""
    return np.bartlett(length + 2)[1:-1].astype(np.float32)
