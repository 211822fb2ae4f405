"""PatchGAN: published sizes, maps, features, spectral norm, and several scales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from equations import array
from gantk import GantkError, Judgement
from gantk_baselines.discriminators import MultiscalePatchGan, PatchGan
from tiny_networks import count


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(
    ("in_channels", "expected"),
    [(1, 2_762_689), (2, 2_763_713), (3, 2_764_737), (4, 2_765_761), (6, 2_767_809)],
)
def test_patchgan_parameters(in_channels, expected, antialias):
    with torch.device("meta"):
        assert count(PatchGan(in_channels, antialias=antialias)) == expected


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(("size", "expected"), [(256, 30), (224, 26), (24, 1)])
def test_patchgan_map_size(size, expected, antialias):
    with torch.device("meta"):
        network = PatchGan(1, channels=2, antialias=antialias)
        assert network(torch.zeros(1, 1, size, size)).shape == (1, 1, expected, expected)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_patchgan_smallest_image(layers):
    network = PatchGan(1, channels=2, layers=layers)
    assert network(torch.rand(1, 1, network.least, network.least + 7)).shape[2] == 1
    with pytest.raises(GantkError, match=f"at least {network.least}"):
        network(torch.rand(1, 1, network.least - 1, 64))


def test_patchgan_receptive_field_is_70_pixels():
    network = PatchGan(1, channels=2, norm="none").double()
    image = torch.rand(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    network(image)[0, 0, 7, 7].backward()
    rows, columns = np.nonzero(image.grad[0, 0].numpy())
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 70


def test_patchgan_features_are_those_of_its_layers() -> None:
    torch.manual_seed(0)
    network = PatchGan(2, channels=4, layers=2).eval()
    image = torch.rand(1, 2, 24, 32)
    scores = network(image)
    judgement = network(image, tuple(range(len(network.layers))))
    assert isinstance(judgement, Judgement)
    assert isinstance(scores, Tensor)
    assert torch.equal(judgement.scores, scores)
    assert torch.equal(judgement.features[len(network.layers) - 1], scores)
    x = image
    for number, layer in enumerate(network.layers):
        x = layer(x)
        assert torch.equal(judgement.features[number], x), number
    kinds = {0: nn.Conv2d, 1: nn.LeakyReLU, 2: nn.Conv2d, 4: nn.LeakyReLU, 7: nn.LeakyReLU, 8: nn.Conv2d}
    assert all(isinstance(network.layers[n], kind) for n, kind in kinds.items())
    with pytest.raises(GantkError, match="layer 9 does not exist"):
        network(image, (9,))


def largest(weight: Tensor) -> float:
    return float(np.linalg.svd(array(weight).reshape(weight.shape[0], -1), compute_uv=False)[0])


def convolutions(network: PatchGan) -> list[nn.Conv2d]:
    return [layer for layer in network.layers if isinstance(layer, nn.Conv2d)]


def test_spectral_norm_divides_by_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    plain = PatchGan(2, channels=4, layers=2)
    torch.manual_seed(0)
    network = PatchGan(2, channels=4, layers=2, spectral=True)
    image = torch.rand(2, 2, 24, 32)
    for _ in range(60):
        network(image)
    network.eval()
    for ours, theirs in zip(convolutions(network), convolutions(plain), strict=True):
        assert largest(theirs.weight) != pytest.approx(1, abs=0.05)
        assert largest(ours.weight) == pytest.approx(1, rel=1e-3)
        expected = array(theirs.weight) / largest(theirs.weight)
        np.testing.assert_allclose(array(ours.weight), expected, rtol=2e-3, atol=1e-5)


def test_spectral_norm_keeps_the_number_of_parameters() -> None:
    def count(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    with torch.device("meta"):
        assert count(PatchGan(3, spectral=True)) == count(PatchGan(3)) == 2_764_737


def test_spectral_norm_survives_a_checkpoint(tmp_path: Path) -> None:
    network, other = (PatchGan(1, channels=4, layers=1, spectral=True) for _ in range(2))
    image = torch.rand(1, 1, 16, 24)
    network(image)  # one power iteration: the state is more than the weights
    save_file(network.state_dict(), tmp_path / "d.safetensors")
    other.load_state_dict(load_file(tmp_path / "d.safetensors"))
    for _ in range(2):  # and it goes on alike, in training too
        assert torch.equal(network(image), other(image))
    assert torch.equal(network.eval()(image), other.eval()(image))


def test_spectral_norm_in_bf16() -> None:
    torch.manual_seed(0)
    network = PatchGan(1, channels=4, layers=1, spectral=True)
    image = torch.rand(2, 1, 16, 24)
    with torch.autocast("cpu", torch.bfloat16):
        scores = network(image)
    scores.float().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    exact = network.eval()(image)
    assert torch.allclose(scores.float(), exact, atol=0.05 * exact.abs().max().item() + 1e-3)


def test_features_of_scales_are_numbered_through() -> None:
    network = MultiscalePatchGan(1, {}, scales=3, channels=2, layers=1)
    image = torch.rand(2, 1, 32, 48)
    judged = network(image, (1, 7, 16))
    assert sorted(judged.features) == [1, 7, 16]
    assert all(torch.equal(a, b) for a, b in zip(judged.scores, network(image), strict=True))
    assert [judged.features[n].shape[-1] for n in (1, 7, 16)] == [24, 12, 5]
