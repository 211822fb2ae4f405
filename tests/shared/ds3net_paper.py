"""DS³-Net's equations as the paper writes them, in NumPy, beside the recipe's own networks run alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equations import array

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
