"""Winograd's convolution is the convolution, with its gradients, however the image is cut."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gantk_baselines import winograd as module
from gantk_baselines.winograd import winograd


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("size", [(4, 4), (4, 9), (6, 6), (17, 10)])
@pytest.mark.parametrize("piece", [1, 3, 256])
def test_values_and_gradients_are_the_convolutions(
    monkeypatch: pytest.MonkeyPatch, kernel: int, padding: int, size: tuple[int, int], piece: int
) -> None:
    """In double precision both agree up to rounding, however the image is cut."""
    monkeypatch.setattr(module, "PIECE", piece)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 3, kernel, kernel, generator=generator, dtype=torch.float64, requires_grad=True)
    wanted, found = F.conv2d(x, weight, padding=padding), winograd(x, weight, padding)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    incoming = torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
    for mine, theirs in zip(
        torch.autograd.grad(found, (x, weight), incoming),
        torch.autograd.grad(wanted, (x, weight), incoming),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kernel", [3, 4])
def test_gradients_of_gradients_are_right(kernel: int) -> None:
    """Second-order gradients, as in gradient penalties."""
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, kernel, kernel, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: winograd(x, w, 1), (x, weight))
    assert torch.autograd.gradgradcheck(lambda x, w: winograd(x, w, 1), (x, weight))


def test_single_precision_keeps_five_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(1, 128, 32, 32, generator=generator), torch.randn(128, 128, 3, 3, generator=generator)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    assert (winograd(x, weight, 1) - exact).abs().max() < 5e-6 * exact.abs().max()
