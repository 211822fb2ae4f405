"""A term's own modules: built for its translators, shared or private, learning with their side, or refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gantk import PluginError, RecipeError
from small_methods import (
    NETWORK,
    trained,
)


def test_heads_may_reach_from_one_translator_to_another(made: Any) -> None:
    both = {"small": {"generator": NETWORK}, "large": {"generator": {**NETWORK, "channels": 5}}}
    assembly = made({"distil": {"use": "my-between", "on": "small", "teacher": "large"}}, both)
    head = assembly.translators["small"].heads["my-between-large"]
    assert (head.in_channels, head.out_channels) == (2, 5)


def test_heads_that_look_to_different_translators_are_not_shared(made: Any) -> None:
    names = ("small", "first", "second")
    term = {"use": "my-between", "on": "small"}
    losses = {f"{n}_{i}": term | {"teacher": n} for n in names[1:] for i in range(2)}
    heads = made(losses, {name: {"generator": NETWORK} for name in names}).translators["small"].heads
    assert set(heads) == {"my-between-first", "my-between-second"}
    assert not torch.equal(heads["my-between-first"].weight, heads["my-between-second"].weight)


def test_two_terms_of_one_loss_learn_two_weights(made: Any, make_group: Any) -> None:
    losses = {name: {"use": "my-uncertain", "on": "one"} for name in ("a", "b")}
    assembly = made(losses)
    heads = assembly.translators["one"].heads
    assert set(heads) == {"my-uncertain:a", "my-uncertain:b"}
    assert not torch.equal(heads["my-uncertain:a"].weight, heads["my-uncertain:b"].weight)
    before = {name: p.clone() for name, p in heads.named_parameters()}
    trained(assembly, make_group)
    assert all(not torch.equal(p, before[name]) for name, p in heads.named_parameters())
    alone = made({"b": losses["b"]}).translators["one"].heads
    assert torch.equal(alone["my-uncertain:b"].weight, before["my-uncertain:b.weight"])  # whatever else there is


def test_modules_are_built_for_the_sizes_of_their_translator(made: Any) -> None:
    assembly = made({"a": {"use": "my-uncertain", "on": "one"}})
    sizes = assembly.terms[0].loss.sizes
    assert (sizes.takes, sizes.gives, sizes.image) == (3, 1, (8, 12))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_side_has_its_module_which_learns_with_it(made: Any, make_group: Any, accumulate: int) -> None:
    assembly = made({"gan": {"use": "my-critic", "on": "one"}}, {"one": {"generator": NETWORK}})
    one = assembly.translators["one"]
    before = {name: p.clone() for name, p in (*one.heads.named_parameters(), *one.critics.named_parameters())}
    updater = trained(assembly, make_group, accumulate=accumulate)
    after = dict((*one.heads.named_parameters(), *one.critics.named_parameters()))
    assert set(before) == {f"my-critic:gan.{name}" for name in ("weight", "bias")}
    for module in (one.heads, one.critics):
        assert all(p.grad is not None for p in module.parameters())
    assert all(not torch.equal(after[name], before[name]) for name in before)
    assert not updater.idle
    names = [name for name in one.state_dict() if name.startswith(("heads", "critics"))]
    assert names == [f"{part}.my-critic:gan.{name}" for part in ("heads", "critics") for name in ("weight", "bias")]


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("never", "no loss for the discriminator"),
        ("unplaced", "does not say which modules learn with which side"),
        ("keeping", "holds weights of its own, which would be neither trained nor saved"),
    ],
)
def test_modules_that_would_not_learn_are_refused(made: Any, use: str, words: str) -> None:
    with pytest.raises(PluginError, match=words):
        made({"a": {"use": f"my-{use}", "on": "one"}})


def test_a_side_has_no_module_of_the_other(made: Any, make_group: Any) -> None:
    with pytest.raises(PluginError, match="none that learns with the discriminator"):
        trained(made({"a": {"use": "my-misplaced", "on": "one"}}), make_group)


def test_what_no_term_reaches_is_known(made: Any, make_group: Any) -> None:
    both = {name: {"generator": NETWORK, "discriminator": {"use": "watching"}} for name in ("one", "two")}
    updater = trained(made({"a": {"use": "my-uncertain", "on": "one"}}, both), make_group)
    assert updater.idle == {"one/discriminator", "two/discriminator", "two/generator"}


def test_outputs_that_a_term_compares_are_of_the_same_images(made: Any) -> None:
    roles = {"one": {"generator": NETWORK}, "other": {"generator": NETWORK, "gives": ["t2"]}}
    losses = {
        "own": {"use": "l1", "on": "other"},
        "image": {"use": "image_distillation", "on": "one", "teacher": "other"},
    }
    with pytest.raises(
        RecipeError, match=r"losses\.image: .*outputs of 'one' and 'other', which give different images"
    ):
        made(losses, roles)
    same = {"one": roles["one"], "other": {"generator": NETWORK}}
    assert made(losses, same).terms
