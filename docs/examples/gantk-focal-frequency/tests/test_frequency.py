"""focal_frequency meets the contract of losses and computes the published values."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from gantk_focal_frequency import FocalFrequency

import gantk
import gantk.testing


class TestFocalFrequency(gantk.testing.LossConformance):
    component = FocalFrequency


class TestOfPatches(gantk.testing.LossConformance):
    component = FocalFrequency
    parameters: ClassVar = {"alpha": 0.5, "patches": 2, "log": True}


class Pair:
    """The part of a view that the loss uses: an output, a target, and an optional weight map."""

    def __init__(self, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> None:
        self.output, self.target, self.weight = output, target, weight


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output, target (2, 2, 6, 8) and weights (2, 1, 6, 8), float64."""
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, (2, 2, 6, 8)), random.uniform(-1, 1, (2, 2, 6, 8)), random.uniform(0, 3, (2, 1, 6, 8))


def value(loss: FocalFrequency, *images: np.ndarray) -> float:
    return float(loss(Pair(*map(torch.from_numpy, images))))


def transform(patch: np.ndarray) -> np.ndarray:
    """F(u, v) = Σ f(x, y)·exp(−2πi(ux/M + vy/N)) / √MN, orthonormal as in the authors' code."""
    m, n = patch.shape
    u, x, v, y = np.arange(m)[:, None], np.arange(m)[None], np.arange(n)[:, None], np.arange(n)[None]
    return np.exp(-2j * np.pi * u * x / m) @ patch @ np.exp(-2j * np.pi * v * y / n).T / np.sqrt(m * n)


def spectrum_weights(real: np.ndarray, fake: np.ndarray, alpha: float, log: bool) -> np.ndarray:
    """w(u, v) = |F_r − F_f|^α, brought to [0, 1]."""
    weight = np.abs(real - fake) ** alpha
    weight = np.log(weight + 1) if log else weight
    return weight / weight.max()


def published(fake: np.ndarray, real: np.ndarray, alpha: float, patches: int, log: bool) -> float:
    """1/MN Σ w·|F_r − F_f|², mean over patches, channels and images."""
    height, width = real.shape[-2] // patches, real.shape[-1] // patches
    values = []
    for one, other in zip(real.reshape(-1, *real.shape[-2:]), fake.reshape(-1, *fake.shape[-2:]), strict=True):
        for row in range(patches):
            for column in range(patches):
                part = slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)
                a, b = transform(one[part]), transform(other[part])
                values.append((spectrum_weights(a, b, alpha, log) * np.abs(a - b) ** 2).mean())
    return float(np.mean(values))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("patches", [1, 2])
@pytest.mark.parametrize("log", [False, True])
def test_it_is_the_published_loss(images, alpha: float, patches: int, log: bool) -> None:
    fake, real, _ = images
    assert value(FocalFrequency(alpha, patches, log), fake, real) == pytest.approx(
        published(fake, real, alpha, patches, log), rel=1e-12
    )


def test_without_focus_it_is_the_squared_error(images) -> None:
    fake, real, _ = images  # Parseval
    assert value(FocalFrequency(alpha=0), fake, real) == pytest.approx(((real - fake) ** 2).mean(), rel=1e-12)


def test_the_map_weighs_the_error_before_the_transform(images) -> None:
    fake, real, weight = images
    wanted = published(weight * fake, weight * real, 1.0, 1, False)
    assert value(FocalFrequency(), *images) == pytest.approx(wanted, rel=1e-12)


def test_weights_are_in_0_to_1_and_send_no_gradient(images) -> None:
    fake, real, _ = map(torch.from_numpy, images)
    fake.requires_grad_()
    loss = FocalFrequency()
    power = torch.fft.fft2(real - fake, norm="ortho").abs() ** 2
    weight = loss.focus(power)
    assert not weight.requires_grad
    assert float(weight.min()) >= 0
    assert torch.equal(weight.amax((-2, -1)), torch.ones(2, 2, dtype=torch.float64))

    (found,) = torch.autograd.grad(loss(Pair(fake, real)), fake)
    (wanted,) = torch.autograd.grad((weight * power).mean(), fake)  # the weight is a constant
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-14)


def test_no_error_is_no_loss(images) -> None:
    _, real, _ = map(torch.from_numpy, images)
    fake = real.clone().requires_grad_()
    loss = FocalFrequency()(Pair(fake, real))
    loss.backward()
    assert loss.item() == 0
    assert not fake.grad.any()


def test_patches_that_do_not_fit_are_a_clear_error(images) -> None:
    with pytest.raises(gantk.GantkError, match="6×8 into 4×4 patches"):
        value(FocalFrequency(patches=4), *images[:2])


def test_a_volume_is_transformed_slice_by_slice() -> None:
    loss = FocalFrequency(alpha=1.0, patches=2)
    random = torch.Generator().manual_seed(0)
    target, output = torch.rand(2, 2, 1, 6, 8, 12, generator=random)

    def value(target: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        return loss(Pair(output, target))

    slices = [value(target[:, :, d], output[:, :, d]) for d in range(6)]
    assert torch.allclose(value(target, output), torch.stack(slices).mean())
