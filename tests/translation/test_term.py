"""The sides of a term: absent in a step, absent for good, and learning apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gantk import Moment, PluginError
from gantk.plugins import Registry
from small_methods import (
    begin,
    trained,
)


def test_a_side_may_be_absent_in_a_step(made: Any, make_group: Any) -> None:
    assembly = made({"r1": {"use": "my-lazy", "on": "one"}, "late": {"use": "my-late", "on": "one"}})
    updater = trained(assembly, make_group, steps=0)
    one, batches = assembly.translators["one"], [begin(assembly, make_group).batch]
    seen = []
    for step, epoch in ((0, 0), (1, 0), (2, 1), (3, 1)):
        before = {name: p.clone() for name, p in one.named_parameters()}
        values = updater.step(batches, {"one": 1.0}, Moment("training", epoch, 2, step))
        changed = {name.partition(".")[0] for name, p in one.named_parameters() if not torch.equal(p, before[name])}
        seen.append((set(values), changed))
    assert seen == [
        ({"one/r1 (D)"}, {"discriminator"}),
        (set(), set()),
        ({"one/r1 (D)", "one/late"}, {"discriminator", "generator"}),
        ({"one/late"}, {"generator"}),
    ]


def test_a_loss_without_any_side_is_refused(made: Any, registry: Registry) -> None:
    with pytest.raises(PluginError, match="has no side"):
        made({"a": {"use": "my-sideless", "on": "one"}})


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_discriminators_side_teaches_no_generator(made: Any, make_group: Any, accumulate: int) -> None:
    weights = []
    for leak in (True, False):
        assembly = made({"a": {"use": "my-leaking", "on": "one", "leak": leak}})
        trained(assembly, make_group, steps=2, accumulate=accumulate)
        weights.append(assembly.translators["one"].state_dict())
    assert all(torch.equal(weights[1][name], weight) for name, weight in weights[0].items())
