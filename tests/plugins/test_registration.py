"""RegGAN's registration, computed by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gantk_baselines.registration import Registration, warped


@pytest.mark.parametrize(("x", "y"), [(1, 0), (0, 2), (-3, 1)])
def test_an_image_is_moved_by_pixels_x_before_y(x: int, y: int) -> None:
    image = torch.rand(2, 1, 9, 12)
    moved = warped(image, torch.tensor([float(x), float(y)])[None, :, None, None].expand(2, 2, 9, 12))
    wanted = F.pad(image, (4, 4, 4, 4), mode="replicate")[..., 4 + y : 13 + y, 4 + x : 16 + x]
    assert torch.allclose(moved, wanted, atol=1e-5)


def test_a_registration_begins_at_nothing_and_learns_a_shift() -> None:
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    blob = torch.exp(-((rows - 8) ** 2 + (columns - 8) ** 2) / 12)[None, None]
    fixed = blob.roll(2, dims=3)
    network = Registration(1, 4, 2, reach=4.0)
    assert not network(blob, fixed).any()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        (warped(blob, network(blob, fixed)) - fixed).square().mean().backward()
        optimizer.step()
    inside = fixed > 0.3
    found = network(blob, fixed)[:, :1][inside].mean().item()
    assert -3 < found < -1  # y(p) = x(p + φ): an image moved right by 2 needs φ = −2
