"""Running statistics of batch norms: a pass that only looks at a network leaves them alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantk.translation.statistics import keeping_statistics


@pytest.mark.parametrize("training", [True, False])
def test_a_look_gives_what_a_pass_gives_and_changes_nothing(training: bool) -> None:
    torch.manual_seed(0)
    looked, passed = (nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train(training) for _ in range(2))
    passed.load_state_dict(looked.state_dict())
    before = {name: value.clone() for name, value in looked.state_dict().items()}
    image = torch.rand(3, 1, 4, 4)
    with keeping_statistics(looked):
        output = looked(image)
    assert torch.equal(output, passed(image))
    assert all(torch.equal(value, before[name]) for name, value in looked.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(looked.buffers(), passed.buffers(), strict=True)) == (not training)
    looked.train()(image)
    assert not torch.equal(looked[1].running_mean, before["1.running_mean"])  # as before the look


def test_a_norm_without_running_statistics_stays_so() -> None:
    norm = nn.BatchNorm2d(2, track_running_stats=False)
    with keeping_statistics(norm):
        norm(torch.rand(2, 2, 3, 3))
    assert not norm.track_running_stats


def test_statistics_return_after_an_error() -> None:
    norm = nn.BatchNorm2d(2)
    with pytest.raises(ValueError, match="4D"), keeping_statistics(norm):
        norm(torch.rand(2))
    assert norm.track_running_stats
