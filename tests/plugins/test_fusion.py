"""The fusion of DS³-Net's encoders against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gantk_ds3net.fusion import SoftmaxFusion


@pytest.mark.parametrize("softmax_over", ["modalities", "channels"])
@pytest.mark.parametrize("encoders", [1, 3])
def test_fusion_against_numpy(encoders, softmax_over):
    torch.manual_seed(0)
    fusion = SoftmaxFusion(encoders, 4, reduction=2, softmax_over=softmax_over).double()
    streams = [torch.randn(2, 4, 3, 5, dtype=torch.float64) for _ in range(encoders)]
    first, _, second = fusion.excitation
    w1, b1, w2, b2 = (p.detach().numpy() for p in (first.weight, first.bias, second.weight, second.bias))
    x = np.stack([s.numpy() for s in streams])  # (E, B, C, h, w)
    expected = np.zeros_like(x[0])
    for b in range(2):
        squeezed = x[:, b].mean((2, 3)).reshape(-1)
        z = np.exp(w2 @ np.maximum(w1 @ squeezed + b1, 0) + b2).reshape(encoders, 4)
        weights = z / z.sum(0) if softmax_over == "modalities" else 4 * z / z.sum()
        expected[b] = (weights[:, :, None, None] * x[:, b]).sum(0)
    np.testing.assert_allclose(fusion(streams).detach().numpy(), expected, atol=1e-12)
