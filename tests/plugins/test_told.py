"""A generator with inputs beside images receives them as planes after the image's channels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gantk import Translation
from gantk_baselines.generators import Told, Unet


class Seen(nn.Module):
    """Records its input."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels

    def forward(self, image: Tensor) -> Tensor:
        self.image = image
        return image


@pytest.mark.parametrize("size", [(4, 6), (2, 4, 6)])
def test_what_is_given_follows_the_image_in_the_order_of_names(size: tuple[int, ...]) -> None:
    told = Told(1, {"site": 2, "labels": 3}, Seen)
    assert told.network.in_channels == 6
    image, labels, site = torch.rand(2, 1, *size), torch.rand(2, 3, *size), torch.rand(2, 2)
    told(image, site=site, labels=labels)
    seen = told.network.image
    assert torch.equal(seen[:, :1], image)
    assert torch.equal(seen[:, 1:4], labels)
    assert torch.equal(seen[:, 4:].flatten(2), site[..., None].expand(-1, -1, seen[0, 0].numel()))


def test_features_come_from_the_generator_behind_it() -> None:
    torch.manual_seed(0)
    told = Told(1, {"age": 1}, lambda in_channels: Unet(in_channels, 1, 2, 4, "none", 0.0)).eval()
    image, age = torch.rand(2, 1, 8, 8), torch.rand(2, 1)
    taken = torch.cat([image, age[..., None, None].expand(2, 1, 8, 8)], dim=1)
    made = told(image, (0, 1), age=age)
    assert isinstance(made, Translation)
    wanted = told.network(taken, (0, 1))
    assert torch.equal(made.output, wanted.output)
    assert all(torch.equal(made.features[n], wanted.features[n]) for n in (0, 1))
    assert told(image, (0,), False, age=age).output is None
    assert told.size_multiple == told.network.size_multiple == 4
