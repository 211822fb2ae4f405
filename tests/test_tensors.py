"""Tensor operations that do not wait for a GPU."""

from __future__ import annotations

import pytest
import torch

from gantk.tensors import take_channels, to_device


@pytest.mark.parametrize("channels", [[], [1], [2, 0], [0, 0, 1]])
@pytest.mark.parametrize("size", [(4, 5), (3, 4, 5)])
def test_taken_channels_are_those_of_an_index(channels: list[int], size: tuple[int, ...]) -> None:
    images = torch.randn(2, 3, *size, requires_grad=True)
    taken = take_channels(images, channels)
    assert torch.equal(taken, images[:, channels])
    weight = torch.randn_like(taken)
    (gradient,) = torch.autograd.grad((taken * weight).sum(), images)
    (expected,) = torch.autograd.grad((images[:, channels] * weight).sum(), images)
    assert torch.equal(gradient, expected)


def test_a_tensor_goes_to_a_device() -> None:
    drawn = torch.rand(3)
    assert to_device(drawn, torch.device("cpu")) is drawn
    assert to_device(drawn, torch.device("meta")).device.type == "meta"
