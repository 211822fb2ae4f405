"""The network that segments."""

from __future__ import annotations

import pytest
import torch

from gantk.evaluation.segmentation_network import SmallUNet, segmentation_loss


@pytest.mark.parametrize("size", [(8, 8), (20, 28), (13, 9)])
def test_network_fits_any_slice(size):
    network = SmallUNet(4, 3, 8)
    assert network(torch.rand(2, 4, *size)).shape == (2, 3, *size)


def test_loss_is_least_where_all_is_right():
    truth = (torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    right, wrong = (float(segmentation_loss(sign * 20 * (2 * truth - 1), truth)) for sign in (1, -1))
    assert right == pytest.approx(0, abs=1e-5)
    assert wrong > 10
