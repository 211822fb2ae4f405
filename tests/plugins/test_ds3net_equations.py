"""DS³-Net's equations 1 to 7 and the weight 1 − t/T, each against NumPy in double precision, through the real step.

The networks are the recipe's own, small and with wide random weights; what they give (features, outputs, scores) is
computed by calling the modules alone, and everything after that is written here from the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equations import array
from gantk.training.update import Updater
from gantk.translation import Step, View
from gantk_baselines.patch_nce import PatchNce

Array = NDArray[np.float64]

SMALL = [
    "data.crop=[16, 24]",
    "translators.teacher.generator.channels=4",
    "translators.teacher.discriminator.channels=4",
    "losses.teacher_patchwise.width=8",
    "losses.student_patchwise.width=8",
    "losses.teacher_patchwise.patches=100000",  # every place: the order they are drawn in does not matter
    "losses.student_patchwise.patches=100000",
]
NCE_LAYERS = (0, 4, 8, 12, 16)
DISTILLED = (4, 8, 12, 16, 21)
TAU = 0.07
STREAMS = 3


# --- the paper in NumPy -------------------------------------------------------------------------------


def bilinear(image: Array, size: tuple[int, int]) -> Array:
    """(..., h, w) to (..., H, W), pixel centres at half integers, clamped at the border."""

    def axis(n: int, to: int) -> Array:
        at = np.clip((np.arange(to) + 0.5) * n / to - 0.5, 0, n - 1)
        low = np.minimum(np.floor(at).astype(int), n - 1)
        high = np.minimum(low + 1, n - 1)
        weights = np.zeros((to, n))
        np.add.at(weights, (np.arange(to), low), 1 - (at - low))
        np.add.at(weights, (np.arange(to), high), at - low)
        return weights

    return axis(image.shape[-2], size[0]) @ image @ axis(image.shape[-1], size[1]).T


def area(image: Array, size: tuple[int, int]) -> Array:
    """(..., H, W) to (..., h, w): each pixel the mean of those it covers, in whole pixels."""

    def axis(n: int, to: int) -> Array:
        weights = np.zeros((to, n))
        for i in range(to):
            begin, end = i * n // to, -(-(i + 1) * n // to)
            weights[i, begin:end] = 1 / (end - begin)
        return weights

    return axis(image.shape[-2], size[0]) @ image @ axis(image.shape[-1], size[1]).T


def difficulty(scores: Array, source: Array) -> Array:
    """Eq. 1: |1 − D(G(x))| in tissue, 0.2 in the background."""
    tissue = (source > -1).any(axis=1, keepdims=True)
    return np.where(tissue, bilinear(np.abs(1 - scores), source.shape[-2:]), 0.2)


def spread_like(weight: Array, feature: Array) -> Array:
    """The map at a layer's size, once for each encoder's features: (S·B, 1, h, w), stream by stream."""
    return np.concatenate([area(weight, feature.shape[-2:])] * (len(feature) // len(weight)))


def projection(head: nn.Module, layer: int, patches: Array) -> Array:
    """H_l: linear, ReLU, linear, unit length; patches (N, P, C)."""
    first, _, second = head.layers[str(layer)]
    hidden = np.maximum(patches @ array(first.weight).T + array(first.bias), 0)
    z = hidden @ array(second.weight).T + array(second.bias)
    return z / (np.linalg.norm(z, axis=-1, keepdims=True) + 1e-7)


def info_nce(query: Array, key: Array) -> Array:
    """−log of the positive's share for every patch of every image; negatives are the image's other patches."""
    loss = np.empty(query.shape[:2])
    for image in range(len(query)):
        for place in range(query.shape[1]):
            similarity = key[image] @ query[image, place] / TAU
            loss[image, place] = np.log(np.exp(similarity - similarity[place]).sum())
    return loss


def contrastive(
    head: nn.Module,
    queries: dict[int, Array],
    keys: dict[int, Array],
    weight: Array | None,
    places: dict[int, Array] | None = None,
) -> float:
    """Eq. 3, summed over the layers; the mean over images and patches. Keys are projected patches already."""
    total = 0.0
    for layer in queries:
        feature = queries[layer]
        at = np.arange(feature[0, 0].size) if places is None else places[layer]
        loss = info_nce(projection(head, layer, patches_of(feature, at)), keys[layer])
        m = 1.0 if weight is None else spread_like(weight, feature).reshape(len(feature), -1)[:, at]
        total += float((m * loss).mean())
    return total


def patches_of(feature: Array, at: Array) -> Array:
    return feature.reshape(*feature.shape[:2], -1)[:, :, at].transpose(0, 2, 1)


def all_keys(head: nn.Module, features: dict[int, Array]) -> dict[int, Array]:
    return {k: projection(head, k, patches_of(f, np.arange(f[0, 0].size))) for k, f in features.items()}


# --- the networks, run on their own --------------------------------------------------------------------


@torch.no_grad()
def run(generator: nn.Module, image: Tensor, layers: tuple[int, ...]) -> tuple[Array, dict[int, Array]]:
    """The output and the features of an image."""
    output, features = generator(image, layers)
    return array(output), {k: array(f) for k, f in features.items()}


@torch.no_grad()
def scores_of(discriminator: nn.Module, image: Array) -> Array:
    return array(discriminator(torch.from_numpy(image)))


@torch.no_grad()
def reentered(generator: nn.Module, output: Array) -> dict[int, Array]:
    """Features of a synthesized image, given to every encoder."""
    image = torch.from_numpy(output).repeat(1, STREAMS, 1, 1)
    return {k: array(f) for k, f in generator(image, NCE_LAYERS, decode=False).features.items()}


class Reference:
    """All quantities of the paper for one batch, with the difficulty maps and contrastive keys held where they are."""

    def __init__(self, translators: Any, batch: Any) -> None:
        self.teacher, self.student = translators["teacher"], translators["student"]
        self.batch = batch
        now = self.forward()
        self.map = {
            "teacher": difficulty(now.judged["teacher"], array(batch["paired"].source)),
            "student": difficulty(now.judged["student"], array(batch["unpaired"].source)),
        }
        self.keys = {
            role: all_keys(self.head(role), {k: now.features[role][k] for k in NCE_LAYERS}) for role in self.map
        }
        self.fine, self.fine_features = now.fine, now.fine_features

    def head(self, role: str) -> nn.Module:
        return getattr(self, role).heads["patch_nce"]

    def forward(self) -> SimpleNamespace:
        """Every network's answer with the present weights."""
        paired, unpaired = self.batch["paired"].source, self.batch["unpaired"].source
        teacher = run(self.teacher.generator, paired, NCE_LAYERS)
        student = run(self.student.generator, unpaired, tuple(sorted({*NCE_LAYERS, *DISTILLED})))
        fine = run(self.teacher.generator, unpaired, DISTILLED)
        return SimpleNamespace(
            output={"teacher": teacher[0], "student": student[0]},
            features={"teacher": teacher[1], "student": student[1]},
            fine=fine[0],
            fine_features=fine[1],
            judged={
                "teacher": scores_of(self.teacher.discriminator, teacher[0]),
                "student": scores_of(self.student.discriminator, student[0]),
            },
        )

    def losses(self, teacher_follows: bool = False) -> dict[str, float]:
        """Every term by its name in the recipe; eq. 2, 3, 5 and 6 and the LSGAN losses of eq. 4 and 7."""
        now = self.forward()
        fine = now.fine if teacher_follows else self.fine
        fine_features = now.fine_features if teacher_follows else self.fine_features
        target = array(self.batch["paired"].target)
        m, s = self.map["teacher"], self.map["student"]
        apart = [
            (spread_like(s, fine_features[k]) * np.abs(fine_features[k] - now.features["student"][k])).mean()
            for k in DISTILLED
        ]
        return {
            "teacher/teacher_pixelwise": (m * np.abs(target - now.output["teacher"])).mean(),
            "teacher/teacher_patchwise": self.contrast("teacher", now),
            "teacher/teacher_adversarial": ((now.judged["teacher"] - 1) ** 2).mean(),
            "student/image_distillation": (s * np.abs(fine - now.output["student"])).mean(),
            "student/feature_distillation": sum(apart) / len(DISTILLED),
            "student/student_patchwise": self.contrast("student", now),
            "student/student_adversarial": ((now.judged["student"] - 1) ** 2).mean(),
        }

    def contrast(self, role: str, now: SimpleNamespace) -> float:
        queries = reentered(getattr(self, role).generator, now.output[role])
        return contrastive(self.head(role), queries, self.keys[role], self.map[role])

    def total(self, student_weight: float, teacher_follows: bool = False) -> float:
        """L = Lᵀ + (1 − t/T)·Lˢ with eq. 4's weights 100, 1, 1 and eq. 7's 100, 1, 1, 1."""
        losses = self.losses(teacher_follows)
        teacher = (
            100 * losses["teacher/teacher_pixelwise"]
            + losses["teacher/teacher_patchwise"]
            + losses["teacher/teacher_adversarial"]
        )
        student = (
            100 * losses["student/image_distillation"]
            + losses["student/feature_distillation"]
            + losses["student/student_patchwise"]
            + losses["student/student_adversarial"]
        )
        return teacher + student_weight * student


# --- fixtures ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepare(build: Callable[..., Any], make_group: Callable[..., Any]) -> Callable[..., Any]:
    def make(*overrides: str, stage: str = "joint") -> Any:
        built = build("ds3_published.toml", [*SMALL, *overrides], stage=stage, spread=0.15)
        for translator in built.translators.values():
            translator.double()
        built.batch = {
            "paired": make_group(2, seed=1, dtype=torch.float64),
            "unpaired": make_group(2, seed=2, target=False, dtype=torch.float64),
        }
        built.step = Step(built.translators, built.plan, built.batch)
        built.reference = Reference(built.translators, built.batch)

        def view(name: str) -> View:
            term = built.term(name)
            return View(built.step, term.role, term.group, term)

        built.view = view
        return built

    return make


@pytest.fixture(scope="module")
def joint(prepare: Callable[..., Any]) -> Any:
    """The second stage, with nothing changed by the tests that use it."""
    return prepare()


def close(ours: Tensor | float, theirs: float) -> None:
    value = ours.item() if isinstance(ours, Tensor) else ours
    assert value == pytest.approx(theirs, rel=1e-9)


# --- eq. 1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("term", "role"), [("teacher_pixelwise", "teacher"), ("image_distillation", "student")])
def test_eq1_difficulty_map(joint: Any, term: str, role: str) -> None:
    view = joint.view(term)
    weight = view.weight
    np.testing.assert_allclose(array(weight), joint.reference.map[role], rtol=1e-10)
    assert weight.shape == (2, 1, 16, 24)
    assert not weight.requires_grad
    background = (view.source == -1).all(dim=1, keepdim=True)
    assert background.any()
    assert (weight[background] == 0.2).all()
    assert weight[~background].std() > 0.05  # it does tell places apart


def test_eq1_tissue_is_where_any_input_is_above_the_background(prepare: Callable[..., Any]) -> None:
    built = prepare()
    source = built.batch["paired"].source
    source[:, :, 0, 0] = -1
    source[:, 2, 0, 0] = -0.999  # tissue in one modality alone
    weight = built.view("teacher_pixelwise").weight
    assert (weight[..., 0, 0] != 0.2).all()
    assert (weight[..., 0, 1] == 0.2).all()


def test_eq1_is_the_constant_1_in_the_first_stage(prepare: Callable[..., Any]) -> None:
    built = prepare(stage="teacher")
    view = built.view("teacher_pixelwise")
    assert view.weight is None
    reference = built.reference
    output = reference.forward().output["teacher"]
    close(built.term("teacher_pixelwise").loss(view), np.abs(array(view.target) - output).mean())
    reference.map["teacher"] = np.ones_like(reference.map["teacher"])
    close(
        built.term("teacher_patchwise").loss(built.view("teacher_patchwise")),
        reference.contrast("teacher", reference.forward()),
    )


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"background": 0.7}, lambda m, inside: np.where(inside, m, 0.7)),
        ({"clamp": 0.9}, lambda m, inside: np.where(inside, np.minimum(m, 0.9), 0.2)),
        (
            {"normalise": '"max"'},
            lambda m, inside: np.where(inside, m / (m * inside).max((1, 2, 3), keepdims=True), 0.2),
        ),
        (
            {"normalise": '"mean"'},
            lambda m, inside: np.where(inside, m / np.mean(m, (1, 2, 3), where=inside, keepdims=True), 0.2),
        ),
    ],
)
def test_eq1_options(prepare: Callable[..., Any], options: dict[str, Any], change: Callable[..., Array]) -> None:
    built = prepare(*(f"maps.difficulty.{k}={v}" for k, v in options.items()))
    inside = (array(built.batch["paired"].source) > -1).any(axis=1, keepdims=True)
    expected = change(built.reference.map["teacher"], inside)
    np.testing.assert_allclose(array(built.view("teacher_pixelwise").weight), expected, rtol=1e-10)


def test_eq1_nearest_interpolation_repeats_the_patch_scores(prepare: Callable[..., Any]) -> None:
    built = prepare('maps.difficulty.interpolation="nearest"')
    scores = built.reference.forward().judged["teacher"]
    repeated = np.abs(1 - scores).repeat(16 // scores.shape[2], 2).repeat(24 // scores.shape[3], 3)
    inside = (array(built.batch["paired"].source) > -1).any(axis=1, keepdims=True)
    expected = np.where(inside, repeated, 0.2)
    np.testing.assert_allclose(array(built.view("teacher_pixelwise").weight), expected, rtol=1e-10)


def test_eq1_a_switched_off_map_is_the_constant_1(prepare: Callable[..., Any]) -> None:
    built = prepare("maps.difficulty.enabled=false")
    assert built.view("teacher_pixelwise").weight is None


# --- eq. 2, 3, 5, 6 and the LSGAN losses -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "teacher/teacher_pixelwise",
        "teacher/teacher_patchwise",
        "teacher/teacher_adversarial",
        "student/image_distillation",
        "student/feature_distillation",
        "student/student_patchwise",
        "student/student_adversarial",
    ],
)
def test_eq_2_3_5_6_and_the_adversarial_losses(joint: Any, name: str) -> None:
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
    """In an optimizer's place: keeps the gradients and changes nothing."""

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


@pytest.mark.parametrize("name", ["image_distillation", "feature_distillation"])
@pytest.mark.parametrize("through", [False, True])
def test_the_teachers_gradient_from_each_distillation(prepare: Callable[..., Any], name: str, through: bool) -> None:
    built = prepare(f"losses.{name}.gradient_to_teacher={str(through).lower()}")
    built.term(name).loss(built.view(name)).backward()
    trained = [p.grad is not None and bool(p.grad.any()) for p in built.translators["teacher"].generator.parameters()]
    assert any(trained) == through
    assert any(p.grad is not None for p in built.translators["student"].generator.parameters())


def test_neither_map_nor_discriminator_is_trained_by_the_generators_terms(prepare: Callable[..., Any]) -> None:
    built = prepare("losses.teacher_adversarial.enabled=false")  # the map alone asks the teacher's discriminator
    _, recorders, _ = update(built, 0)
    assert all(g is None for g in recorders["teacher/discriminator"].gradients)
    assert any(g is not None for g in recorders["student/discriminator"].gradients)
    assert all(p.grad is None for p in built.translators["teacher"].discriminator.parameters())
    for translator in built.translators.values():  # frozen for the generators' update alone
        assert all(p.requires_grad for p in translator.discriminator.parameters())
