"""Translators: what they take and give, and what their discriminators are shown."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gantk import RecipeError
from gantk.translation import View
from small_methods import (
    NETWORK,
    begin,
)


def test_a_translator_may_take_some_inputs_and_give_others(made: Any, make_group: Any) -> None:
    translators = {
        "stream": {"generator": NETWORK, "takes": ["t2"]},
        "back": {"generator": NETWORK, "takes": ["t1ce"], "gives": ["flair", "t1"]},
    }
    assembly = made({"a": {"use": "my-mean", "on": "stream"}}, translators)
    step = begin(assembly, make_group)
    group = step.batch["paired"]
    stream, back = (View(step, role, "paired") for role in translators)
    assert torch.equal(stream.source, group.source[:, 1:2])
    assert torch.equal(stream.target, group.target)
    assert torch.equal(back.source, group.target)
    assert torch.equal(back.target, group.source[:, [2, 0]])
    assert stream.output.shape == (2, 1, 8, 12)
    assert back.output.shape == (2, 2, 8, 12)
    assert stream.source is stream.source, "one tensor, or what is computed from it would be computed twice"


def test_a_translator_that_goes_back_is_trained_on_the_targets_group(made: Any, make_group: Any) -> None:
    both = {"a2b": {"generator": NETWORK}, "b2a": {"generator": NETWORK, "takes": ["t1ce"], "gives": ["t1"]}}
    sizes = {"batch": {"source": 2, "target": 2}}
    losses = {
        "forward": {"use": "my-back", "on": "a2b", "group": "source", "back": "b2a"},
        "backward": {"use": "my-back", "on": "b2a", "group": "target", "back": "a2b"},
    }
    assembly = made(losses, both, sizes, inputs=("t1",))
    assert assembly.plan("training", ("a2b", "b2a")).groups == ("source", "target")
    step = begin(assembly, lambda size, **options: make_group(size, inputs=1, **options), ("source", "target"))
    forward, backward = (View(step, t.role, t.group, t) for t in step.plan.terms)
    wanted = assembly.translators["b2a"].generator(assembly.translators["a2b"].generator(step.batch["source"].source))
    assert torch.allclose(step.plan.terms[0].loss(forward), (wanted - step.batch["source"].source).abs().mean())
    assert torch.equal(backward.source, step.batch["target"].target)
    with pytest.raises(RecipeError, match="needs the target of the group 'source', which has none"):
        made({"backward": {**losses["backward"], "group": "source"}}, both, sizes, inputs=("t1",))


def test_a_discriminator_may_score_every_target_by_itself(made: Any, make_group: Any) -> None:
    assembly = made({"gan": {"use": "lsgan", "on": "one"}}, data={"target": ["t1ce", "pd"]})
    assert assembly.translators["one"].discriminator.last.out_channels == 2
