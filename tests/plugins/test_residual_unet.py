"""The residual U-Net: slabs, blocks that start as their shortcuts, the order of narrowing and doubling."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import GantkError
from gantk.translation.translator import multiples
from gantk_baselines.generators import ResidualUnet
from gantk_baselines.layers import BlurUp

SIZE = (8, 12, 16)


def volume(batch: int = 2, channels: int = 3, size: tuple[int, ...] = SIZE, seed: int = 0) -> Tensor:
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed))


def test_a_slab_is_halved_as_far_as_it_goes() -> None:
    network = ResidualUnet(1, 1, image_size=(16, 224, 224), levels=5, channels=2, blocks=1, dimensions=3)
    assert network.size_multiple == (4, 32, 32)
    assert multiples(network, 3) == (4, 32, 32)
    sizes = {}
    with torch.no_grad():
        _, found = network(torch.zeros(1, 1, 16, 64, 32), tuple(range(network.layer_count)))
    sizes = {layer: tuple(feature.shape[2:]) for layer, feature in found.items()}
    assert sizes[0] == (16, 64, 32)
    assert sizes[2] == (4, 16, 8)
    assert sizes[5] == (4, 2, 1)
    assert sizes[6] == (4, 4, 2)
    assert sizes[11] == (16, 64, 32)
    with pytest.raises(GantkError, match="multiples of 4, 32, 32"):
        network(torch.zeros(1, 1, 18, 64, 64))


def test_residual_blocks_start_as_their_shortcuts() -> None:
    torch.manual_seed(0)
    network = ResidualUnet(1, 1, levels=1, channels=4, blocks=2, dimensions=3)
    x = torch.randn(1, 4, 4, 4, 4)
    assert torch.equal(network.down[0](x), F.leaky_relu(F.leaky_relu(x, 0.01), 0.01))


def test_a_convolution_of_one_pixel_commutes_with_doubling() -> None:
    """Which is why the decoder narrows before it doubles."""
    x, convolution = volume(), nn.Conv3d(3, 2, 1)
    assert torch.allclose(BlurUp()(convolution(x)), convolution(BlurUp()(x)), atol=1e-5)
