"""monai_basic_unet meets the contract of generators, and equals MONAI's network."""

from typing import ClassVar

import pytest
import torch
from gantk_monai import MonaiBasicUNet

import gantk
import gantk.testing


class TestMonaiBasicUNet(gantk.testing.GeneratorConformance):
    component = MonaiBasicUNet
    parameters: ClassVar = {"channels": 4}
    size = (32, 48)
    volume = (48, 34, 33)  # with 2 slices after the last halving, gradients in bf16 can be NaN on a CPU (torch 2.14)


class TestOtherParts(gantk.testing.GeneratorConformance):
    component = MonaiBasicUNet
    parameters: ClassVar = {"channels": 4, "norm": "batch", "upsample": "pixelshuffle"}
    size = (35, 46)  # odd at all halvings except one
    volume = (49, 34, 32)
    test_two_processes = None  # as above


@pytest.fixture
def generator() -> MonaiBasicUNet:
    torch.manual_seed(0)
    return MonaiBasicUNet(in_channels=2, out_channels=1, channels=4)


def test_it_is_monais_network(generator) -> None:
    image = torch.randn(2, 2, 40, 37)
    assert torch.equal(generator(image), torch.tanh(generator.network(image)))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (48, 40), (63, 64)])
def test_layers_have_the_sizes_that_the_docstring_says(generator, size: tuple[int, int]) -> None:
    output, features = generator(torch.randn(1, 2, *size), layers=tuple(range(9)))
    shrunk = [tuple(side // 2**level for side in size) for level in range(5)]
    assert [tuple(features[number].shape[-2:]) for number in range(9)] == shrunk + shrunk[3::-1]
    assert [features[number].shape[1] for number in range(9)] == [4, 4, 8, 16, 32, 16, 8, 4, 4]
    assert output.shape == (1, 1, *size)


def test_without_decoding_the_way_up_is_not_taken(generator) -> None:
    taken = []
    generator.network.upcat_4.register_forward_hook(lambda *_: taken.append("up"))
    found = generator(torch.randn(1, 2, 32, 32), layers=(0, 4), decode=False)
    assert found.output is None
    assert set(found.features) == {0, 4}
    assert not taken


@pytest.mark.parametrize(("size", "layers", "said"), [((31, 64), (), "at least 32×32"), ((32, 32), (9,), "no layer 9")])
def test_what_it_cannot_do_is_a_clear_error(generator, size, layers, said: str) -> None:
    with pytest.raises(gantk.GantkError, match=said):
        generator(torch.randn(1, 2, *size), layers)
