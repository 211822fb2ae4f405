"""Cycle and identity terms against NumPy, between two small translators that lead there and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gantk import RecipeError, View
from gantk.data.layout import Domain
from gantk.translation import MapSlot, StagePlan, Step, Term, Translator
from gantk_baselines.cycle import Cycle, Identity

ONE, OTHER = Domain("source", None, 1), Domain("target", None, 1)


class Affine(nn.Module):
    """x → a·x + b, written down each time it runs."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (a, b))
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        return self.a * image + self.b


def there(x: np.ndarray) -> np.ndarray:
    return 0.7 * x + 0.2


def back(y: np.ndarray) -> np.ndarray:
    return -0.4 * y + 0.1


@pytest.fixture
def between(make_group: Callable[..., Any]) -> Callable[..., View]:
    """The view of a term between `a2b` and `b2a`; groups of different subjects, each with one side alone."""

    def make(loss: Any, role: str, group: str, weight_map: Callable[[View], Tensor] | None = None) -> View:
        translators = {
            "a2b": Translator("a2b", ONE, OTHER, Affine(0.7, 0.2), None, False),
            "b2a": Translator("b2a", OTHER, ONE, Affine(-0.4, 0.1), None, False),
        }
        both = [make_group(size, inputs=1, shape=(6, 8), seed=size, dtype=torch.float64) for size in (2, 3)]
        batch = {"source": replace(both[0], target=None), "target": replace(both[1], source=None)}
        term = Term("term", role, group, loss, map="m" if weight_map else None)
        maps = {"m": MapSlot("m", weight_map)} if weight_map else {}
        return View(
            Step(translators, StagePlan("s", tuple(translators), [term], maps, translators), batch), role, group, term
        )

    return make


def array(tensor: Tensor | None) -> np.ndarray:
    assert tensor is not None
    return tensor.detach().numpy()


def runs(view: View) -> Mapping[str, int]:
    return {role: len(translator.generator.seen) for role, translator in view.step.translators.items()}  # type: ignore[arg-type]


def test_cycle_there_and_back(between: Callable[..., View]) -> None:
    view = between(loss := Cycle("b2a"), "a2b", "source")
    x = array(view.step.group("source").source)
    assert loss(view).item() == pytest.approx(np.abs(x - back(there(x))).mean(), rel=1e-12)
    assert runs(view) == {"a2b": 1, "b2a": 1}


def test_cycle_from_the_other_side(between: Callable[..., View]) -> None:
    view = between(loss := Cycle("a2b"), "b2a", "target")
    y = array(view.step.group("target").target)
    assert loss(view).item() == pytest.approx(np.abs(y - there(back(y))).mean(), rel=1e-12)


def test_a_cycle_is_weighed_by_its_map(between: Callable[..., View]) -> None:
    ramp = torch.arange(48, dtype=torch.float64).view(1, 1, 6, 8) / 10
    view = between(loss := Cycle("b2a"), "a2b", "source", lambda view: ramp.expand(len(view.source), -1, -1, -1))
    x = array(view.step.group("source").source)
    assert loss(view).item() == pytest.approx((array(ramp) * np.abs(x - back(there(x)))).mean(), rel=1e-12)


def test_a_cycle_trains_both_translators(between: Callable[..., View]) -> None:
    view = between(loss := Cycle("b2a"), "a2b", "source")
    loss(view).backward()
    x = array(view.step.group("source").source)
    sign = np.sign(back(there(x)) - x)
    gradients = {role: [p.grad.item() for p in t.parameters()] for role, t in view.step.translators.items()}  # type: ignore[union-attr]
    # F(G(x)) = f·(g·x + b) + c: by g it changes by f·x, by b by f, by f by G(x), by c by 1
    assert gradients["a2b"] == pytest.approx([(sign * -0.4 * x).mean(), (sign * -0.4).mean()], rel=1e-6)
    assert gradients["b2a"] == pytest.approx([(sign * there(x)).mean(), sign.mean()], rel=1e-6)


@pytest.mark.parametrize(("role", "group", "image"), [("a2b", "source", "target"), ("b2a", "target", "source")])
def test_identity(between: Callable[..., View], role: str, group: str, image: str) -> None:
    view = between(loss := Identity(f"{image}.{image}"), role, group)
    y = array(getattr(view.step.group(image), image))
    translated = (there if role == "a2b" else back)(y)
    loss(view).backward()
    assert loss(view).item() == pytest.approx(np.abs(translated - y).mean(), rel=1e-12)
    assert runs(view) == {"a2b": 0, "b2a": 0} | {role: 1}  # the source is not translated for it
    trained = {r: all(p.grad is not None for p in t.parameters()) for r, t in view.step.translators.items()}
    assert trained == {"a2b": False, "b2a": False} | {role: True}


def test_identity_of_a_target_with_fewer_channels_than_the_source(at: Callable[..., View]) -> None:
    view = at(loss := Identity("target"))
    y = view.target
    expected = (view.translator.generator(y.repeat(1, 3, 1, 1)) - y).abs().mean()
    assert loss(view).item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_way_back_must_exist(build: Callable[..., Any]) -> None:
    with pytest.raises(RecipeError, match="there is no translator 'b2c'"):
        build("cyclegan.toml", ["losses.cycle_a.back=b2c"])


def test_terms_of_the_recipe_see_one_side_each(build: Callable[..., Any]) -> None:
    """Nothing in CycleGAN asks for pairs."""
    built = build("cyclegan.toml")
    assert built.plan.groups == ("source", "target")
    assert not any(term.needs.target for term in built.plan.terms)
