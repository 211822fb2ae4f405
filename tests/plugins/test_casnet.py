"""CasNet: its size, its chain, its layers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from gantk import GantkError, Translation
from gantk_baselines.generators import CasNet, Unet
from tiny_networks import count


def unet_parameters(inputs: int, outputs: int, levels: int, channels: int) -> int:
    """4×4 convolutions with batch norm: bias at the two ends and, without a norm, at neither; two numbers per norm."""
    width = [channels * min(2**level, 8) for level in range(levels)]
    down = sum(16 * a * b for a, b in zip([inputs, *width[:-1]], width, strict=True))
    up = 16 * width[-1] * width[-2] + sum(16 * 2 * width[i] * width[i - 1] for i in range(1, levels - 1))
    up += 16 * 2 * width[0] * outputs + outputs
    norms = sum(2 * w for w in width[1:-1]) + sum(2 * w for w in width[:-1])
    return down + up + norms


@pytest.mark.parametrize(
    ("inputs", "outputs", "blocks", "levels", "channels"),
    [(3, 1, 6, 8, 64), (1, 1, 6, 8, 64), (3, 2, 2, 4, 16), (3, 1, 1, 3, 4)],
)
def test_parameters(inputs: int, outputs: int, blocks: int, levels: int, channels: int) -> None:
    expected = unet_parameters(inputs, outputs, levels, channels)
    expected += (blocks - 1) * unet_parameters(outputs, outputs, levels, channels)
    with torch.device("meta"):
        assert count(CasNet(inputs, outputs, blocks, levels, channels)) == expected


def test_the_published_size() -> None:
    """Six U-Nets of pix2pix, the first of three channels and the others of one: 16 · 64 weights fewer per channel."""
    with torch.device("meta"):
        assert count(CasNet(3, 1)) == 6 * 54_409_857 - 5 * 2 * 16 * 64


def tiny(**options: Any) -> CasNet:
    torch.manual_seed(0)
    return CasNet(2, 1, **({"blocks": 3, "levels": 2, "channels": 4} | options))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("shape", [(1, 2, 16, 16), (2, 2, 12, 20)])
def test_images(shape: tuple[int, ...], outputs: int) -> None:
    network = CasNet(2, outputs, blocks=2, levels=2, channels=4)
    output = network(torch.rand(shape) * 2 - 1)
    assert output.shape == (shape[0], outputs, *shape[-2:])
    assert output.dtype == torch.float32
    assert output.abs().max() < 1


def test_each_block_refines_the_image_before_it() -> None:
    network = tiny().eval()
    image = torch.rand(2, 2, 8, 12) * 2 - 1
    x = image
    for block in network.blocks:
        assert isinstance(block, Unet)
        x = block(x)
    assert torch.equal(network(image), x)


def test_layers_are_those_of_the_blocks_in_order() -> None:
    network = tiny().eval()
    image = torch.rand(1, 2, 8, 12) * 2 - 1
    found = network(image, tuple(range(12)))
    assert isinstance(found, Translation)
    assert sorted(found.features) == list(range(12))
    x = image
    for number, block in enumerate(network.blocks):
        x, features = block(x, (0, 1, 2, 3))
        for layer, feature in features.items():
            assert torch.equal(found.features[4 * number + layer], feature), (number, layer)
    assert torch.equal(found.output, x)
    assert torch.equal(found.features[11], x)  # the last layer is the output
    assert torch.equal(network(image, (9, 2)).features[2], found.features[2])


@pytest.mark.parametrize(("layers", "blocks_run"), [((1,), 1), ((3,), 1), ((4,), 2), ((0, 7), 2), ((8,), 3)])
def test_without_decoding_it_stops_behind_the_last_layer(layers: tuple[int, ...], blocks_run: int) -> None:
    network = tiny().eval()
    image = torch.rand(1, 2, 8, 8) * 2 - 1
    whole = network(image, layers)
    ran: list[int] = []
    for number, block in enumerate(network.blocks):
        block.register_forward_pre_hook(lambda *_, number=number: ran.append(number))
    stopped = network(image, layers, decode=False)
    assert ran == list(range(blocks_run))
    assert stopped.output is None
    assert all(torch.equal(stopped.features[n], whole.features[n]) for n in layers)
    assert network(image, (), decode=False) == Translation(None, {})


def test_gradients_reach_the_first_block() -> None:
    network = tiny()
    image = (torch.rand(2, 2, 8, 12) * 2 - 1).requires_grad_(True)
    network(image).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert image.grad.any()
    assert network.blocks[0].down[0][0].weight.grad.any()


def test_state_round_trip() -> None:
    network, other = tiny(), copy.deepcopy(tiny())
    image = torch.rand(2, 2, 8, 8)
    network(image)  # moves the running statistics
    assert not torch.equal(network.eval()(image), other.eval()(image))
    other.load_state_dict(network.state_dict())
    assert torch.equal(network(image), other(image))


def test_what_does_not_fit() -> None:
    network = tiny()
    with pytest.raises(GantkError, match="layer 12 does not exist"):
        network(torch.rand(1, 2, 8, 8), (12,))
    with pytest.raises(GantkError, match="10×8 pixels"):
        network(torch.rand(1, 2, 10, 8))
    assert network.size_multiple == 4
