"""Distillation between widths: its value, its gradients, its map, and the passes that it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gantk import PluginError, Sizes
from gantk_baselines.projected_distillation import ProjectedDistillation, Regressors

CHANNELS = {1: {"student": 2, "teacher": 5}, 3: {"student": 4, "teacher": 4}}
SIZES = {1: (8, 12), 3: (4, 6)}


class Scene:
    """Stands for the view: features of two widths, a map, and the term's heads."""

    def __init__(self, head: Regressors, weight: Tensor | None = None) -> None:
        random = torch.Generator().manual_seed(0)
        self.given = {
            role: {
                layer: torch.randn(2, CHANNELS[layer][role], *SIZES[layer], generator=random, dtype=torch.float64)
                for layer in CHANNELS
            }
            for role in ("student", "teacher")
        }
        for features in self.given.values():
            for feature in features.values():
                feature.requires_grad_()
        self.head, self.weight = head, weight

    def features(self, layers: tuple[int, ...], role: str = "student", grad: bool = True) -> dict[int, Tensor]:
        return {k: self.given[role][k] if grad else self.given[role][k].detach() for k in layers}

    def project(self, features: dict[int, Tensor]) -> dict[int, Tensor]:
        return self.head(features)

    def weighted_mean(self, error: Tensor) -> Tensor:
        if self.weight is None:
            return error.mean()
        return (F.interpolate(self.weight, error.shape[-2:], mode="area") * error).mean()


def heads(loss: ProjectedDistillation) -> Regressors:
    torch.manual_seed(1)
    student, teacher = ({k: c[role] for k, c in CHANNELS.items()} for role in ("student", "teacher"))
    others = {"teacher": teacher, "another": {1: 9, 3: 9}}
    made = loss.build_modules(Sizes(1, 1, (8, 8), student, {}, others))["generator"]
    return made.double()  # type: ignore[return-value]


def by_hand(scene: Scene, distance: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean over layers of the weighted mean distance, the convolution written as a product of matrices."""
    total = torch.zeros((), dtype=torch.float64)
    for layer in CHANNELS:
        convolution = scene.head.layers[str(layer)]
        own = torch.einsum("oi,bihw->bohw", convolution.weight[:, :, 0, 0], scene.given["student"][layer])
        error = distance(scene.given["teacher"][layer] - own - convolution.bias[:, None, None])
        if scene.weight is not None:
            side = scene.weight.shape[-1] // error.shape[-1]
            blocks = scene.weight.unflatten(2, (-1, side)).unflatten(4, (-1, side))
            error = error * blocks.mean((3, 5))
        total = total + error.mean() / len(CHANNELS)
    return total


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(("name", "distance"), [("l2", lambda e: e**2 / 2), ("l1", torch.abs)])
def test_value(name: Any, distance: Callable[[Tensor], Tensor], mapped: bool) -> None:
    loss = ProjectedDistillation(layers=(1, 3), distance=name)
    weight = torch.rand(2, 1, 8, 12, dtype=torch.float64) if mapped else None
    scene = Scene(heads(loss), weight)
    value = loss(scene).item()  # type: ignore[arg-type]
    assert value == pytest.approx(by_hand(scene, distance).item(), rel=1e-12)


def test_gradients_go_to_student_and_regressors_and_not_to_the_teacher() -> None:
    loss = ProjectedDistillation(layers=(1, 3))
    scene = Scene(heads(loss))
    loss(scene).backward()  # type: ignore[arg-type]
    assert all(f.grad is not None and f.grad.any() for f in scene.given["student"].values())
    assert all(p.grad is not None and p.grad.any() for p in scene.head.parameters())
    assert all(f.grad is None for f in scene.given["teacher"].values())


def test_a_perfect_student_has_no_loss() -> None:
    loss = ProjectedDistillation(layers=(1, 3))
    scene = Scene(heads(loss))
    scene.given["teacher"] = scene.head(scene.given["student"])
    assert loss(scene) == 0  # type: ignore[arg-type]


def test_regressors_have_the_two_widths() -> None:
    shapes = {name: tuple(p.shape) for name, p in heads(ProjectedDistillation(layers=(1, 3))).named_parameters()}
    assert shapes == {
        "layers.1.weight": (5, 2, 1, 1),
        "layers.1.bias": (5,),
        "layers.3.weight": (4, 4, 1, 1),
        "layers.3.bias": (4,),
    }


def test_layers_of_other_sizes_are_refused() -> None:
    loss = ProjectedDistillation(layers=(1, 3))
    scene = Scene(heads(loss))
    scene.given["teacher"][3] = torch.zeros(2, 4, 2, 3, dtype=torch.float64)
    with pytest.raises(PluginError, match=r"layer 3 is \(2, 4, 2, 3\) in 'teacher' and \(2, 4, 4, 6\) in the student"):
        loss(scene)  # type: ignore[arg-type]


# --- in its recipe --------------------------------------------------------------------------------------------


@pytest.fixture
def stage(registry: Any, recipes: Path, make_group: Callable[..., Any]) -> Any:
    """The second phase's translators, the term's view and the batch."""
    from gantk.api.checks import build
    from gantk.recipe import load_recipe
    from gantk.translation import Step, View

    assembly, _ = build(load_recipe(recipes / "pix2pix_distilled.toml", ["data.crop=[32,48]"]), registry)
    plan = assembly.plan("student", ("student",))
    term = next(term for term in plan.terms if term.name == "feature_distillation")
    step = Step(assembly.translators, plan, {"paired": make_group(2, shape=(32, 48))})
    return assembly.translators, term, View(step, term.role, term.group, term)


def test_the_recipes_teacher_is_wider_and_runs_to_the_last_layer_only(stage: Any) -> None:
    translators, term, view = stage
    run: list[str] = []
    for role in ("teacher", "student"):
        generator = translators[role].generator
        for number, block in enumerate([*generator.down, *generator.up]):
            block.register_forward_hook(lambda *_, role=role, number=number: run.append(f"{role} {number}"))
    student, teacher = (sum(p.numel() for p in translators[r].generator.parameters()) for r in ("student", "teacher"))
    assert teacher > 8 * student
    view.output  # noqa: B018 - another term wants it
    value = term.loss(view)
    assert value.isfinite()
    assert value > 0
    assert run == [f"student {n}" for n in range(8)] + [f"teacher {n}" for n in range(max(term.needs.layers) + 1)]


def test_the_recipes_teacher_gets_no_gradient(stage: Any) -> None:
    translators, term, view = stage
    term.loss(view).backward()
    assert all(p.grad is None for p in translators["teacher"].parameters())
    assert all(p.grad is not None for p in translators["student"].heads.parameters())
    last = max(term.needs.layers)
    student = translators["student"].generator
    blocks = [*student.down, *student.up][: last + 1]
    assert all(p.grad is not None for block in blocks for p in block.parameters())
