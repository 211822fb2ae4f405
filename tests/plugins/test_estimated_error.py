"""Errors and their estimate against NumPy, who is trained, and what a trained estimator finds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from gantk import RecipeError
from gantk.plugins import Registry
from gantk.testing import Bench
from gantk_ds3net.estimated_error import ErrorEstimation, EstimatedError


def images(seed: int, *shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


class Scene:
    """Stands for the view: what roles answer is given."""

    answers: ClassVar = {"a": images(1, 2, 2, 3, 4), "b": images(2, 2, 2, 3, 4)}

    def __init__(self) -> None:
        self.source, self.target, self.output = images(3, 2, 3, 3, 4), images(4, 2, 2, 3, 4), images(5, 2, 2, 3, 4)
        self.weight = images(6, 2, 1, 3, 4) + 1
        self.foreground = torch.ones(2, 1, 3, 4, dtype=torch.bool)
        self.foreground[0, :, 0] = False

    def translate(self, role: str, grad: bool) -> Tensor:
        assert not grad
        return self.answers[role]

    def weighted_mean(self, error: Tensor) -> Tensor:
        return (self.weight * error).mean()


def test_error_by_hand() -> None:
    scene = Scene()
    value = ErrorEstimation("b")(scene)  # type: ignore[arg-type]
    error = np.abs(scene.target.numpy() - scene.answers["b"].numpy())
    expected = (scene.weight.numpy() * (scene.output.numpy() + 1 - error) ** 2).mean()
    assert value.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_map_by_hand(power: float) -> None:
    scene = Scene()
    weights = EstimatedError(("a", "b"), 1, power, 0.25, 0.1)(scene)  # type: ignore[arg-type]
    expected = (1 + np.mean([scene.answers[role].numpy() for role in "ab"], axis=(0, 2))[:, None]) ** power
    inside = scene.foreground.numpy()
    for slice_, weight, seen in zip(expected, weights.numpy(), inside, strict=True):
        np.testing.assert_allclose(weight[seen], 1 + 0.25 * (slice_[seen] / slice_[seen].mean() - 1), rtol=1e-12)
        np.testing.assert_array_equal(weight[~seen], 0.1)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_patches_average_the_foreground_alone(dimensions: int) -> None:
    scene = Scene()
    shape = (1, 1, *[8] * dimensions)
    board = torch.from_numpy(np.indices(shape).sum(0) % 2).double()
    scene.foreground = torch.ones(shape, dtype=torch.bool)
    scene.foreground[..., :4] = False
    for background in (-1.0, 1.0):  # what is expected outside does not matter
        scene.answers = {"a": torch.where(scene.foreground, 2 * board - 1, background)}  # type: ignore[misc]
        by_pixel = EstimatedError(("a",), 1)(scene)  # type: ignore[arg-type]
        assert set(by_pixel[scene.foreground].tolist()) == {0.0, 2.0}
        weights = EstimatedError(("a",), 2)(scene)  # type: ignore[arg-type]
        torch.testing.assert_close(weights[scene.foreground], torch.ones_like(weights[scene.foreground]))


def test_a_patch_with_larger_errors_has_a_larger_weight() -> None:
    scene = Scene()
    scene.foreground = torch.ones(1, 1, 4, 8, dtype=torch.bool)
    errors = torch.full((1, 1, 4, 8), 0.1, dtype=torch.float64)
    errors[..., 4:] = 0.4
    scene.answers = {"a": errors - 1}  # type: ignore[misc]
    weights = EstimatedError(("a",), 4)(scene)[0, 0, 0]  # type: ignore[arg-type]
    # two patches with centers at 1.5 and 5.5, linear in between
    row = np.interp(np.arange(8), [1.5, 5.5], [0.1, 0.4])
    np.testing.assert_allclose(weights, row / row.mean(), rtol=1e-12)
    squared = EstimatedError(("a",), 4, power=2)(scene)[0, 0, 0]  # type: ignore[arg-type]
    np.testing.assert_allclose(squared, row**2 / (row**2).mean(), rtol=1e-12)


def test_where_no_error_is_expected_every_weight_is_one() -> None:
    scene = Scene()
    scene.answers = {"a": -torch.ones(2, 2, 3, 4, dtype=torch.float64)}  # type: ignore[misc]
    weights = EstimatedError(("a",), background=0.0)(scene)  # type: ignore[arg-type]
    assert torch.equal(weights, scene.foreground.double())


def test_the_estimator_alone_is_trained(registry: Registry) -> None:
    bench = Bench(registry.get("loss", "error_estimation"), {"of": "first"})
    bench.value().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in bench.own.parameters())
    assert all(p.grad is None for p in bench.translators["first"].generator.parameters())


@pytest.mark.parametrize("settings", [{"of": ["a", "b"]}, {}])
def test_one_translator_is_judged_by_a_term(registry: Registry, settings: Any) -> None:
    with pytest.raises(RecipeError, match="parameter 'of'"):
        registry.get("loss", "error_estimation").build(settings, "losses.error", dimensions=2)


def test_a_trained_estimate_is_the_mean_absolute_error() -> None:
    # two kinds of pixels, with errors around 0.6 and 0.1: the minimum of the loss is the mean of each kind
    generator = torch.Generator().manual_seed(0)
    kind = torch.rand(1, 1, 40, 40, generator=generator) < 0.3
    spread = torch.where(kind, 0.6, 0.1)
    estimate = torch.zeros(2, requires_grad=True)

    class Noisy:
        source = kind.float()

        def translate(self, role: str, grad: bool) -> Tensor:
            return torch.zeros_like(spread)

        @property
        def target(self) -> Tensor:
            return spread * torch.randn(spread.shape, generator=generator)

        @property
        def output(self) -> Tensor:
            return torch.where(kind, estimate[0], estimate[1])

        def weighted_mean(self, error: Tensor) -> Tensor:
            return error.mean()

    optimizer = torch.optim.Adam([estimate], lr=0.01)
    for _ in range(1500):
        optimizer.zero_grad()
        ErrorEstimation("first")(Noisy()).backward()  # type: ignore[arg-type]
        optimizer.step()
    normal = np.sqrt(2 / np.pi)  # mean absolute value of a standard normal number
    np.testing.assert_allclose((1 + estimate).detach(), [0.6 * normal, 0.1 * normal], atol=0.03)
