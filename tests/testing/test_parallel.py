"""Gradients of two processes that share a batch are those of one, and what goes wrong in them is told."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gantk.testing.failures import ConformanceError
from gantk.testing.parallel import form_weights, parallel_gradients


class Network(nn.Module):
    """A convolution, and a mistake."""

    def __init__(self, mistake: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(2, 1, 3).double()
        self.mistake = mistake

    def forward(self, image: Tensor) -> Tensor:
        if self.mistake == "half" and len(image) == 2:
            raise RuntimeError("this works on whole batches alone")
        return torch.tanh(self.layer(image))


def test_they_are_those_of_the_whole_batch() -> None:
    network, image = Network(), torch.randn(4, 2, 6, 5, dtype=torch.float64)
    found = parallel_gradients(network, image)
    output = network(image)
    (output * form_weights(output.shape)).mean().backward()
    assert found.keys() == {"layer.weight", "layer.bias"}
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


def test_an_error_of_a_process_is_told() -> None:
    with pytest.raises(ConformanceError, match="this works on whole batches alone"):
        parallel_gradients(Network("half"), torch.randn(4, 2, 6, 5, dtype=torch.float64))


def test_weights_are_the_same_everywhere() -> None:
    torch.manual_seed(1)
    one = form_weights((2, 3))
    torch.manual_seed(2)
    assert torch.equal(one, form_weights((2, 3)))
