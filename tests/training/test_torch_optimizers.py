"""The optimizers that recipes name are torch's and timm's, with the parameters that recipes give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gantk.errors import GantkError
from gantk.training.torch_optimizers import OPTIMIZERS


def learned(make: Any) -> torch.Tensor:
    """A weight after three steps down a slope, the second group at half the rate."""
    weights = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([0.5]))]
    optimizer = make([{"params": [weights[0]], "lr": 0.1}, {"params": [weights[1]], "lr": 0.05}])
    for _ in range(3):
        optimizer.zero_grad()
        (weights[0].square().sum() + weights[1].pow(4).sum()).backward()
        optimizer.step()
    return torch.cat([weight.detach() for weight in weights])


@pytest.mark.parametrize(
    ("name", "parameters", "own"),
    [
        ("adam", {}, lambda groups: torch.optim.Adam(groups, betas=(0.5, 0.999))),
        ("adam", {"betas": (0.0, 0.9)}, lambda groups: torch.optim.Adam(groups, betas=(0.0, 0.9))),
        ("adamw", {"weight_decay": 0.1}, lambda g: torch.optim.AdamW(g, betas=(0.5, 0.999), weight_decay=0.1)),
        ("sgd", {"momentum": 0.7}, lambda groups: torch.optim.SGD(groups, momentum=0.7)),
        ("rmsprop", {"weight_decay": 0.2}, lambda groups: torch.optim.RMSprop(groups, weight_decay=0.2)),
        ("timm", {"name": "sgd", "momentum": 0.3}, lambda g: torch.optim.SGD(g, momentum=0.3, nesterov=True)),
    ],
)
def test_they_step_as_the_library_does(name: str, parameters: dict[str, Any], own: Any) -> None:
    found = learned(lambda groups: OPTIMIZERS[name](groups, **parameters))
    torch.testing.assert_close(found, learned(own))
    assert not torch.equal(found, torch.tensor([1.0, -2.0, 0.5]))


def test_an_unknown_one_of_timms_is_named() -> None:
    with pytest.raises(GantkError, match=r"no optimizer 'lyon'.*'lion'"):
        OPTIMIZERS["timm"]([], name="lyon")
