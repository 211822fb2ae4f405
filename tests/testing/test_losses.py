"""Mistakes that authors of losses make are found, and named."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor, nn

import gantk
import gantk.testing
from gantk import Needs, Sizes, View
from mistakes import PlainLoss, failure


class Map(PlainLoss):
    """A loss of the wrong shape."""

    def __call__(self, view: View) -> Tensor:
        return (view.target - view.output).abs()


class Detached(PlainLoss):
    """A loss without gradient to the output."""

    def __call__(self, view: View) -> Tensor:
        return (view.target - view.output.detach()).abs().mean()


class Elsewhere(PlainLoss):
    """A loss whose gradient only reaches the discriminator."""

    def __call__(self, view: View) -> Tensor:
        return view.judge(view.fake).mean()


class Leaking(PlainLoss):
    """A loss whose discriminator loss trains the generator."""

    def discriminator(self, view: View) -> Tensor:
        return view.judge(view.output).mean()


class Undeclared(PlainLoss):
    """A loss that asks for layers that it did not declare."""

    def __call__(self, view: View) -> Tensor:
        return view.features(layers=(0,))[0].mean() + view.output.mean()


class MapTwice(PlainLoss):
    """A loss that uses its map wrongly."""

    def __call__(self, view: View) -> Tensor:
        error = (view.target - view.output).abs()
        return error.mean() if view.weight is None else (error * view.weight).sum()


class Divided(PlainLoss):
    """A loss that divides by the foreground."""

    def __call__(self, view: View) -> Tensor:
        return ((view.target - view.output).abs() * view.foreground).sum() / view.foreground.sum()


class Stateful(PlainLoss):
    """A loss with state in an attribute."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, view: View) -> Tensor:
        self.steps += 1
        return super().__call__(view) * self.steps


class OwnRandomness(PlainLoss):
    """A loss that draws without torch's seed."""

    def __call__(self, view: View) -> Tensor:
        return super().__call__(view) * (1 + int.from_bytes(os.urandom(2), "big"))


class Penalty(PlainLoss):
    """A penalty that forgot create_graph in half of itself."""

    needs = Needs(second_order=True)

    def discriminator(self, view: View) -> Tensor:
        image = view.fake.clone().requires_grad_()
        scores = view.judge(image, full_precision=True)
        (slope,) = torch.autograd.grad(scores.sum(), image, create_graph=True)
        return (slope.square() + slope.detach().square()).mean() + scores.square().mean()


class UnusedHead(PlainLoss):
    """A loss with a head that is partly unused."""

    needs = Needs(layers=(0,))

    def build_modules(self, sizes: Sizes) -> dict[str, nn.Module]:
        return {"generator": nn.ModuleDict({"spare": nn.Linear(sizes.features[0], 1)})}


LOSSES: list[tuple[str, type, str]] = [
    ("value", Map, "the loss has the shape"),
    ("value", Detached, "the loss has no gradient"),
    ("gradient", Elsewhere, "the generator gets no gradient"),
    ("gradient", UnusedHead, "spare.weight' of its modules gets no gradient"),
    ("discriminator", Leaking, "sends a gradient into the generator"),
    ("map_of_ones", MapTwice, "with a weight map of ones"),
    ("background", Divided, "NaN or infinite"),
    ("training_and_resume", Stateful, "a run that is resumed gets other losses"),
    ("seeded", OwnRandomness, "two instances give"),
    ("second_order", Penalty, "the discriminator's loss rises by"),
]


@pytest.mark.parametrize(("test", "component", "words"), LOSSES, ids=lambda given: getattr(given, "__name__", None))
def test_wrong_losses(test: str, component: type, words: str) -> None:
    assert words in failure(component, "loss", test)


def test_features_that_are_not_declared_are_refused_as_in_training() -> None:
    cls = type("TestIt", (gantk.testing.conformance("loss"),), {"component": Undeclared})
    with pytest.raises(gantk.PluginError, match=r"layers \[0\], which it has not declared"):
        cls().test_one_pass()


def test_a_right_loss_passes() -> None:
    class TestIt(gantk.testing.LossConformance):
        component = PlainLoss

    tests = [name for name in dir(TestIt) if name.startswith("test_") and name != "test_second_order"]
    assert len(tests) > 10
    for name in tests:
        getattr(TestIt(), name)()
