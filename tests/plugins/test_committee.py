"""Distillation from a committee against NumPy, its limits, and who is trained by it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gantk import GantkError, View
from gantk.plugins import Component, Registry
from gantk.recipe import recipe_from_table
from gantk.testing import Bench
from gantk.translation import Step, assemble
from gantk_baselines.pixelwise import Change
from gantk_ds3net.committee import CommitteeDistillation, Disagreement, agreed, answers


def images(seed: int, *shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def test_what_the_answers_agree_on_by_hand() -> None:
    start, answers = images(0, 2, 1, 3, 4), images(1, 4, 2, 1, 3, 4)
    changes = answers.numpy() - start.numpy()
    mean, variance = changes.mean(0), changes.var(0, ddof=1)
    expected = start.numpy() + mean**3 / (mean**2 + 0.7 * variance)
    np.testing.assert_allclose(agreed(start, answers, 0.7).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(agreed(start, answers, 0).numpy(), answers.numpy().mean(0), rtol=1e-12)


def test_teachers_that_agree_are_followed_and_those_that_do_not_are_not() -> None:
    start = images(0, 1, 1, 3, 4)
    one = images(1, 1, 1, 3, 4)
    torch.testing.assert_close(agreed(start, torch.stack([one, one]), 5.0), one)
    change = 0.2 * (one - start)
    apart = torch.stack([start + change, start - change])
    torch.testing.assert_close(agreed(start, apart, 1.0), start)
    assert torch.equal(agreed(start, torch.stack([start, start]), 1.0), start)  # 0/0


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=5), st.floats(-1, 1, width=32), st.floats(0, 100))
def test_the_result_lies_between_the_start_and_the_mean(answers: list[float], start: float, shrink: float) -> None:
    found = float(agreed(torch.tensor([start]), torch.tensor(answers)[:, None], shrink))
    ends = sorted((start, float(np.mean(np.float32(answers)))))
    assert ends[0] - 1e-6 <= found <= ends[1] + 1e-6


class Scene:
    """Stands for the view: each role adds a ramp of its own strength to the first input."""

    strength: ClassVar = {"a": 0.1, "b": 0.3}
    foreground: Tensor

    def __init__(self, weight: Tensor | None = None) -> None:
        self.source, self.weight = 0.5 * images(3, 2, 2, 3, 4), weight
        self.factor = torch.ones((), dtype=torch.float64, requires_grad=True)

    @property
    def start(self) -> Tensor:
        return self.source[:, :1]

    @property
    def output(self) -> Tensor:
        return self.start * self.factor

    def mirrored(self) -> Scene:
        other = Scene()
        other.source = self.source.flip(-1)
        return other

    def translate(self, role: str, grad: bool) -> Tensor:
        assert not grad
        return self.source[:, :1] + self.strength[role] * torch.linspace(0, 1, 4, dtype=torch.float64)

    def weighted_mean(self, error: Tensor) -> Tensor:
        return error.mean() if self.weight is None else (self.weight * error).mean()


@pytest.mark.parametrize("distance", ["l2", "l1"])
@pytest.mark.parametrize("views", [1, 2])
def test_value(views: Any, distance: Any) -> None:
    weight = images(5, 2, 1, 3, 4) + 1
    value = CommitteeDistillation(("a", "b"), views, 2.0, distance)(Scene(weight))  # type: ignore[arg-type]
    ramp = np.linspace(0, 1, 4)
    changes = [s * r for r in [ramp, ramp[::-1]][:views] for s in (0.1, 0.3)]  # a mirrored slice's ramp runs back
    mean, variance = np.mean(changes, axis=0), np.var(changes, axis=0, ddof=1)
    step = mean**3 / np.maximum(mean**2 + 2 * variance, 1e-300)
    error = step**2 if distance == "l2" else np.abs(step)
    assert value.item() == pytest.approx((weight.numpy() * error).mean(), rel=1e-12)


def test_the_student_alone_is_trained(registry: Registry) -> None:
    bench = Bench(registry.get("loss", "committee_distillation"), {"teachers": ["first", "second"]})
    for role in ("first", "second"):
        torch.nn.init.normal_(next(bench.translators[role].generator.parameters()))
    bench.value().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in bench.own.parameters())
    assert all(p.grad is None for role in ("first", "second") for p in bench.translators[role].parameters())


class Sum(torch.nn.Module):
    """Answers with half of the sum of its inputs, moved one pixel to the right."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.full((out_channels, 1, 1), 0.5))

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.factor * image.sum(1, keepdim=True).roll(1, -1))


def scene(registry: Registry, make_group: Any, **translators: Any) -> tuple[Step, Tensor]:
    """A step of translators with the network `Sum`, and the source of its group."""
    mine = Registry()
    mine.add(*registry, Component("sum", "generator", Sum, "mine", "1"))
    on = {"base": "student"}
    table = {
        "name": "committee",
        "data": {"dataset": "phantom", "inputs": ["t1", "t2", "flair"], "target": "t1ce", "crop": [8, 12]},
        "translators": {role: {"generator": {"use": "sum"}, **more} for role, more in translators.items()},
        "losses": {role: {"use": "l2", "on": on.get(role, role)} for role in translators},
        "schedule": {"use": "constant"},
    }
    assembly = assemble(recipe_from_table(table), mine)
    group = make_group(2, shape=(8, 12))
    return Step(assembly.translators, assembly.plan("training", tuple(translators)), {"paired": group}), group.source


def test_every_teacher_gets_its_own_inputs(registry: Registry, make_group: Any) -> None:
    step, source = scene(
        registry, make_group, student={"takes": ["t1", "t2"], "residual": "t1"}, teacher={"takes": ["t1", "flair"]}
    )
    found = answers(View(step, "student", "paired"), ("teacher",), 2)
    total = source[:, [0]] + source[:, [2]]
    torch.testing.assert_close(found[0], torch.tanh(0.5 * total.roll(1, -1)))
    torch.testing.assert_close(found[1], torch.tanh(0.5 * total.roll(-1, -1)))


def test_nothing_is_learned_through_the_image_that_is_changed(registry: Registry, make_group: Any) -> None:
    """A student that changes what another translator makes: that one does not learn from the agreement."""
    step, _ = scene(
        registry,
        make_group,
        base={"takes": ["t1"]},
        student={"takes": ["t2", "base.output"], "residual": "base.output"},
        teacher={"takes": ["t1", "t2"]},
    )
    view = View(step, "student", "paired")
    assert view.start.requires_grad
    wanted = agreed(view.start.detach(), answers(view, ("teacher",), 2), 1.0)
    loss = CommitteeDistillation(("teacher",))(view)  # type: ignore[arg-type]
    ours = torch.autograd.grad(loss, list(step.translators["base"].parameters()), retain_graph=True)
    by_hand = torch.autograd.grad(
        (wanted - view.output).square().mean(), list(step.translators["base"].parameters()), retain_graph=True
    )
    assert all(torch.equal(a, b) for a, b in zip(ours, by_hand, strict=True))
    base = list(step.translators["base"].parameters())
    ours = torch.autograd.grad(Change()(view), base, retain_graph=True)
    by_hand = torch.autograd.grad((view.output - view.start.detach()).square().mean(), base)
    assert all(torch.equal(a, b) for a, b in zip(ours, by_hand, strict=True))


@pytest.mark.parametrize("settings", [{"views": 1}, {"views": 1, "shrink": 0.1}])
def test_one_answer_has_no_variance(settings: dict[str, Any]) -> None:
    with pytest.raises(GantkError, match="cannot disagree"):
        CommitteeDistillation(("a",), **settings)
    assert CommitteeDistillation(("a",), **{**settings, "shrink": 0}).needs.roles == ("a",)
    assert CommitteeDistillation(("a",), **{**settings, "views": 2}).needs.start


@pytest.mark.parametrize("views", [1, 2])
def test_disagreement_by_hand(views: Any) -> None:
    scene = Scene()
    scene.foreground = torch.ones(2, 1, 3, 4, dtype=torch.bool)
    scene.foreground[0, :, 0] = False
    weights = Disagreement(("a", "b"), views, 0.25, 0.1)(scene)  # type: ignore[arg-type]
    ramp = np.linspace(0, 1, 4)
    spread = np.std([s * r for r in [ramp, ramp[::-1]][:views] for s in (0.1, 0.3)], axis=0, ddof=1)
    expected = np.broadcast_to(1 + 0.25 * (spread / spread.mean() - 1), (2, 1, 3, 4)).copy()
    expected[0, :, 0] = 0.1
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-12)
    assert weights[scene.foreground].mean().item() == pytest.approx(1)


def test_where_all_agree_every_weight_is_one(registry: Registry) -> None:
    scene = Scene()
    scene.foreground = torch.ones(2, 1, 3, 4, dtype=torch.bool)
    assert torch.equal(Disagreement(("a", "a"), 1, 1.0)(scene), torch.ones(2, 1, 3, 4, dtype=torch.float64))  # type: ignore[arg-type]
    with pytest.raises(GantkError, match="cannot disagree"):
        Disagreement(("a",), 1)
