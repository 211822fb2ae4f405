"""Services of the core beyond forward passes: features of D, pools, missing and derived images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gantk import RecipeError
from gantk.translation import Step, View
from small_methods import (
    NETWORK,
    begin,
)


def test_features_of_the_discriminator_come_from_the_pass_that_judges(made: Any, make_group: Any) -> None:
    losses = {"match": {"use": "my-matching", "on": "one"}, "gan": {"use": "lsgan", "on": "one"}}
    assembly = made(losses)
    step = begin(assembly, make_group)
    term = step.plan.terms[0]
    view = View(step, "one", "paired", term)
    term.loss(view)
    view.judge(), view.judge(view.target)
    judge = assembly.translators["one"].discriminator
    assert [layers for _, layers in judge.seen] == [(0,), (0,)]
    assert torch.equal(judge.seen[0][0], step.batch["paired"].target)
    plain = begin(made({"gan": losses["gan"]}), make_group)
    View(plain, "one", "paired").judge()
    assert [layers for _, layers in plain.translators["one"].discriminator.seen] == [()]


def test_past_outputs_come_back(made: Any, make_group: Any) -> None:
    torch.manual_seed(3)
    assembly = made({"gan": {"use": "my-pooled", "on": "one", "size": 2}})
    term = assembly.terms[0]
    shown, outputs = [], []
    for seed in range(12):
        step = Step(
            assembly.translators,
            assembly.plan("training", ("one",)),
            {"paired": make_group(1, shape=(8, 12), seed=seed)},
        )
        view = View(step, "one", "paired", term)
        outputs.append(view.fake)
        shown.append(view.pooled(view.fake))
        assert view.pooled(view.fake) is shown[-1], "the pool is asked once a step"
    assert all(torch.equal(a, b) for a, b in zip(shown[:2], outputs[:2], strict=True))
    old = [i for i in range(2, 12) if not torch.equal(shown[i], outputs[i])]
    assert old
    assert all(any(torch.equal(shown[i], outputs[j]) for j in range(i)) for i in old)
    names = [n for n in assembly.translators["one"].state_dict() if n.startswith("pools.")]
    assert names == ["pools.gan.images", "pools.gan.stored"]


def test_a_pool_keeps_no_sources(made: Any) -> None:
    conditional = {"one": {"generator": NETWORK, "discriminator": {"use": "watching"}, "judges": "source and image"}}
    with pytest.raises(RecipeError, match="keeps images without their sources"):
        made({"gan": {"use": "my-pooled", "on": "one"}}, conditional)


def test_missing_channels_are_known_from_the_image(made: Any, make_group: Any) -> None:
    step = begin(made({"a": {"use": "my-mean", "on": "one"}}), make_group)
    step.batch["paired"].source[1, 2] = -1
    assert View(step, "one", "paired").available.tolist() == [[True] * 3, [True, True, False]]


def test_what_is_derived_under_one_name_by_two_plugins_are_two_things(made: Any, make_group: Any) -> None:
    step = begin(made({"a": {"use": "my-mean", "on": "one"}}), make_group)
    view = View(step, "one", "paired")

    def halved(image: Tensor) -> Tensor:
        return image / 2

    assert view.derive("detached", view.source, halved) is view.derive("detached", view.source, halved)
    assert not torch.equal(view.derive("detached", view.source, halved), step.detached(view.source))
    other = lambda image: image * 2  # noqa: E731
    other.__module__ = "another_plugin"
    assert not torch.equal(view.derive("detached", view.source, other), view.derive("detached", view.source, halved))
