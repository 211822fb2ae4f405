"""DS³-Net's equations 2 to 4 and 7 and the weight 1 − t/T, against NumPy in double precision, through the real step.

The networks are the recipe's own, small and with wide random weights; what they give (features, outputs, scores) is
computed by calling the modules alone, and everything after that is written here from the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ds3net_paper import NCE_LAYERS, all_keys, contrastive, patches_of, projection, reentered, scores_of
from equations import array, close
from gantk.training.update import Updater
from gantk_baselines.patch_nce import PatchNce

# --- eq. 2, 3 and the LSGAN losses -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "teacher/teacher_pixelwise",
        "teacher/teacher_patchwise",
        "teacher/teacher_adversarial",
        "student/student_patchwise",
        "student/student_adversarial",
    ],
)
def test_eq_2_3_and_the_adversarial_losses(joint: Any, name: str) -> None:
    term = name.split("/")[1]
    close(joint.term(term).loss(joint.view(term)), joint.reference.losses()[name])


def test_eq3_positions_are_shared_by_source_output_and_map(
    prepare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = prepare("losses.teacher_patchwise.patches=7")
    drawn: list[Tensor] = []
    places = PatchNce._places

    def recorded(self: PatchNce, feature: Tensor) -> Tensor:
        drawn.append(places(self, feature))
        return drawn[-1]

    monkeypatch.setattr(PatchNce, "_places", recorded)
    ours = built.term("teacher_patchwise").loss(built.view("teacher_patchwise"))

    at = dict(zip(NCE_LAYERS, (p.numpy() for p in drawn), strict=True))
    sizes = {layer: f[0, 0].size for layer, f in built.reference.forward().features["teacher"].items()}
    for layer, chosen in at.items():
        assert len(set(chosen.tolist())) == min(7, sizes[layer])  # no place twice
        assert chosen.max() < sizes[layer]
    reference, head = built.reference, built.translators["teacher"].heads["patch_nce"]
    now = reference.forward()
    keys = {k: projection(head, k, patches_of(now.features["teacher"][k], at[k])) for k in NCE_LAYERS}
    queries = reentered(built.translators["teacher"].generator, now.output["teacher"])
    close(ours, contrastive(head, queries, keys, reference.map["teacher"], at))


def test_eq3_may_ask_from_the_source_and_average_over_layers(prepare: Callable[..., Any]) -> None:
    built = prepare('losses.teacher_patchwise.query="source"', 'losses.teacher_patchwise.over_layers="mean"')
    ours = built.term("teacher_patchwise").loss(built.view("teacher_patchwise"))
    reference, head = built.reference, built.translators["teacher"].heads["patch_nce"]
    now = reference.forward()
    keys = all_keys(head, reentered(built.translators["teacher"].generator, now.output["teacher"]))
    total = contrastive(head, now.features["teacher"], keys, reference.map["teacher"])
    close(ours, total / len(NCE_LAYERS))


# --- eq. 4, eq. 7 and L = Lᵀ + (1 − t/T)·Lˢ ------------------------------------------------------------


class Recorder:
    """A replacement of the optimizer that records gradients and changes nothing."""

    def __init__(self, modules: list[nn.Module]) -> None:
        self.parameters = [p for module in modules for p in module.parameters()]
        self.param_groups = [{"params": self.parameters, "part": "generator"}]
        self.gradients: list[Tensor | None] = []

    def step(self) -> None:
        self.gradients = [None if p.grad is None else p.grad.clone() for p in self.parameters]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.parameters:
            parameter.grad = None


@pytest.fixture
def totals(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The values that `backward` is called on, in order."""
    values: list[float] = []
    backward = Tensor.backward

    def recorded(self: Tensor, *args: Any, **kwargs: Any) -> None:
        values.append(self.item())
        backward(self, *args, **kwargs)

    monkeypatch.setattr(Tensor, "backward", recorded)
    return values


def update(built: Any, epoch: int) -> tuple[dict[str, float], dict[str, Recorder], float]:
    """One step of the updater with the schedule's weights; the weights stay as they are."""
    recorders = {}
    optimizers = {}
    for role, translator in built.translators.items():
        recorders[role] = Recorder([translator.generator, translator.heads])
        sides = {"generator": recorders[role], "discriminator": Recorder([translator.discriminator])}
        optimizers[role] = SimpleNamespace(sides=sides, rates={})
        recorders[f"{role}/discriminator"] = sides["discriminator"]
    weights = {role: built.scheduler.weight(built.stage, role, epoch) for role in built.stage.roles}
    updater = Updater(built.translators, optimizers, built.plan, built.recipe.training, built.step.autocast)
    return updater.step([built.batch], weights), recorders, weights["student"]


def slope(built: Any, recorders: dict[str, Recorder], role: str, of: Callable[[], float]) -> tuple[float, float]:
    """The derivative along a random direction of a role's parameters: from the gradients, and by differences."""
    random = torch.Generator().manual_seed(3)
    recorder = recorders[role]
    direction = [torch.randn(p.shape, generator=random, dtype=p.dtype) for p in recorder.parameters]
    pairs = zip(direction, recorder.gradients, strict=True)
    ours = sum(float((d * g).sum()) for d, g in pairs if g is not None)
    values = []
    for h in (1e-9, -2e-9):
        for parameter, d in zip(recorder.parameters, direction, strict=True):
            parameter.data.add_(d, alpha=h)
        values.append(of())
    for parameter, d in zip(recorder.parameters, direction, strict=True):
        parameter.data.add_(d, alpha=1e-9)
    return ours, (values[0] - values[1]) / 2e-9


@pytest.mark.parametrize(("epoch", "weight"), [(0, 1.0), (3, 0.75), (11, 1 / 12)])
def test_eq4_eq7_and_the_total_loss(
    prepare: Callable[..., Any], totals: list[float], epoch: int, weight: float
) -> None:
    built = prepare("schedule.joint_epochs=12")
    losses, _, student_weight = update(built, epoch)
    assert student_weight == pytest.approx(weight)
    reference = built.reference
    for name, value in reference.losses().items():
        close(losses[name], value)
    assert len(totals) == 2  # one backward for all discriminators, one for all generators
    close(totals[1], reference.total(weight))


def test_the_discriminators_loss_is_the_mean_of_real_and_fake(prepare: Callable[..., Any], totals: list[float]) -> None:
    built = prepare()
    update(built, 0)
    now, target = built.reference.forward(), array(built.batch["paired"].target)
    expected = 0.0
    for role in ("teacher", "student"):
        real = scores_of(built.translators[role].discriminator, target)  # a real image is a real image for both
        expected += 0.5 * ((real - 1) ** 2).mean() + 0.5 * (now.judged[role] ** 2).mean()
    close(totals[0], expected)


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_gradient_of_the_total_loss(prepare: Callable[..., Any], role: str) -> None:
    """Map, keys and the teacher's distilled answers are constants in it, everything else is differentiated."""
    built = prepare("schedule.joint_epochs=12")
    _, recorders, weight = update(built, 3)
    ours, theirs = slope(built, recorders, role, lambda: built.reference.total(weight))
    assert ours == pytest.approx(theirs, rel=2e-5)


def test_distillation_trains_the_teacher_where_the_recipe_says_so(prepare: Callable[..., Any]) -> None:
    through = [
        "losses.image_distillation.gradient_to_teacher=true",
        "losses.feature_distillation.gradient_to_teacher=true",
    ]
    built = prepare(*through)
    _, recorders, weight = update(built, 3)
    ours, theirs = slope(built, recorders, "teacher", lambda: built.reference.total(weight, teacher_follows=True))
    assert ours == pytest.approx(theirs, rel=2e-5)
    apart = slope(built, recorders, "teacher", lambda: built.reference.total(weight))[1]
    assert abs(ours - apart) > 1e-3 * abs(ours)  # it does make a difference


def test_neither_map_nor_discriminator_is_trained_by_the_generators_terms(prepare: Callable[..., Any]) -> None:
    built = prepare("losses.teacher_adversarial.enabled=false")  # the map alone asks the teacher's discriminator
    _, recorders, _ = update(built, 0)
    assert all(g is None for g in recorders["teacher/discriminator"].gradients)
    assert any(g is not None for g in recorders["student/discriminator"].gradients)
    assert all(p.grad is None for p in built.translators["teacher"].discriminator.parameters())
    for translator in built.translators.values():  # frozen for the generators' update alone
        assert all(p.requires_grad for p in translator.discriminator.parameters())
