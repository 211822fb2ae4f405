"""Metrics against torchmetrics, scikit-image and NumPy."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import (
    mean_squared_error,
    normalized_root_mse,
    peak_signal_noise_ratio,
    structural_similarity,
)
from torchmetrics.functional import image as reference

from gantk.evaluation.metrics import Mae, MaeInUnits, Mse, MsSsim, Nmse, Psnr, Ssim, masked_mean

METRICS = [Ssim(), Mse(), Mae(), Psnr(), Nmse(), MsSsim()]


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(3, 1, 40, 36, generator=generator)
    noise = torch.tensor([0.05, 0.1, 0.3]).view(3, 1, 1, 1) * torch.randn(target.shape, generator=generator)
    return (target + noise).clamp(0, 1), target


def everything(image: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(image[:, :1], dtype=torch.bool)


def corner(image: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros_like(image[:, :1], dtype=torch.bool)
    mask[:, :, 3:15, 20:] = True
    return mask


def torchmetrics_value(metric: object, prediction: torch.Tensor, target: torch.Tensor) -> float:
    if isinstance(metric, Ssim):
        return float(reference.structural_similarity_index_measure(prediction, target, data_range=1.0))
    if isinstance(metric, Psnr):
        return float(reference.peak_signal_noise_ratio(prediction, target, data_range=1.0))
    if isinstance(metric, MsSsim):  # 40 x 36 has room for two scales
        betas = tuple(beta * 1.0001 / 0.3304 for beta in (0.0448, 0.2856))  # they add up to that
        return float(
            reference.multiscale_structural_similarity_index_measure(prediction, target, data_range=1.0, betas=betas)
        )
    if isinstance(metric, Mae):
        return float((prediction - target).abs().mean())
    from torchmetrics.functional import mean_squared_error as mse

    error = float(mse(prediction, target))
    return error / float(target.square().mean()) if isinstance(metric, Nmse) else error


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.title)
@pytest.mark.parametrize("channels", [1, 2])
def test_whole_image_is_torchmetrics(metric, channels, pair):
    prediction, target = (image.repeat(1, channels, 1, 1) * 0.9 for image in pair)
    if channels == 2:
        prediction[:, 1] *= 0.5
    found = metric(prediction, target, everything(target))
    assert found.shape == (3,)
    for i in range(3):
        expected = torchmetrics_value(metric, prediction[i : i + 1], target[i : i + 1])
        assert float(found[i]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sigma", [0.8, 1.5, 2.0])
@pytest.mark.parametrize("shape", [(3, 1, 40, 36), (2, 3, 17, 20), (1, 1, 12, 20, 16), (2, 2, 9, 10, 11)])
def test_the_ssim_map_is_that_of_scipys_windows(shape, sigma):
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(shape, generator=generator)
    prediction = (target + 0.3 * torch.rand(shape, generator=generator)).clamp(0, 1)
    found = Ssim(sigma, k1=0.02, k2=0.05, dimensions=len(shape) - 2).map(prediction, target)
    axes, radius = tuple(range(2, len(shape))), int(3.5 * sigma + 0.5)
    x, y = prediction.double().numpy(), target.double().numpy()
    mean_x, mean_y, xx, yy, xy = (
        gaussian_filter(image, sigma, radius=radius, mode="mirror", axes=axes) for image in (x, y, x * x, y * y, x * y)
    )
    luminance = (2 * mean_x * mean_y + 0.02**2) / (mean_x**2 + mean_y**2 + 0.02**2)
    structure = (2 * (xy - mean_x * mean_y) + 0.05**2) / (xx - mean_x**2 + yy - mean_y**2 + 0.05**2)
    np.testing.assert_allclose(found, luminance * structure, atol=2e-5)
    if len(shape) == 4 or sigma == 1.5:  # of volumes torchmetrics has no other window
        _, expected = reference.structural_similarity_index_measure(
            prediction, target, sigma=sigma, k1=0.02, k2=0.05, data_range=1.0, return_full_image=True
        )
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_whole_image_is_scikit_image(pair):
    prediction, target = pair
    inner = torch.zeros_like(target, dtype=torch.bool)
    inner[:, :, 5:-5, 5:-5] = True  # scikit-image leaves out the border its window reaches over
    for i in range(3):
        x, y = (image[i, 0].numpy().astype(np.float64) for image in pair)
        ssim = structural_similarity(
            x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
        )
        assert float(Ssim()(prediction, target, inner)[i]) == pytest.approx(ssim, abs=1e-5)
        assert float(Mse()(prediction, target, everything(target))[i]) == pytest.approx(
            mean_squared_error(x, y), rel=1e-5
        )
        nmse = normalized_root_mse(y, x, normalization="euclidean") ** 2
        assert float(Nmse()(prediction, target, everything(target))[i]) == pytest.approx(nmse, rel=1e-5)
        assert float(Psnr()(prediction, target, everything(target))[i]) == pytest.approx(
            peak_signal_noise_ratio(y, x, data_range=1.0), rel=1e-5
        )


def test_region_by_hand(pair):
    prediction, target = pair
    mask = corner(target)
    _, similarity = reference.structural_similarity_index_measure(
        prediction, target, data_range=1.0, reduction="none", return_full_image=True
    )
    for i in range(3):
        difference = (prediction - target)[i, 0, 3:15, 20:].double().numpy()
        mse = (difference**2).mean()
        assert float(Mse()(prediction, target, mask)[i]) == pytest.approx(mse, rel=1e-5)
        assert float(Mae()(prediction, target, mask)[i]) == pytest.approx(abs(difference).mean(), rel=1e-5)
        energy = (target[i, 0, 3:15, 20:].double() ** 2).mean().item()
        assert float(Nmse()(prediction, target, mask)[i]) == pytest.approx(mse / energy, rel=1e-5)
        assert float(Psnr()(prediction, target, mask)[i]) == pytest.approx(-10 * math.log10(mse), rel=1e-5)
        assert float(Ssim()(prediction, target, mask)[i]) == pytest.approx(
            float(similarity[i, 0, 3:15, 20:].double().mean()), rel=1e-5
        )


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.title)
def test_empty_mask_is_nan_for_its_slice_alone(metric, pair):
    prediction, target = pair
    mask = everything(target)
    mask[1] = False
    assert metric(prediction, target, mask).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.title)
def test_better_means_closer(metric, pair):
    prediction, target = pair
    values = metric(prediction, target, everything(target)).tolist()
    assert values == sorted(values, reverse=metric.higher_is_better)


def test_identical_images(pair):
    _, target = pair
    whole = everything(target)
    assert Ssim()(target, target, whole).tolist() == pytest.approx([1, 1, 1])
    assert Mse()(target, target, whole).tolist() == [0, 0, 0]
    assert Psnr()(target, target, whole).tolist() == [100, 100, 100]
    assert Psnr(ceiling=60.0)(target, target, whole).tolist() == [60, 60, 60]


def test_no_energy():
    dark = torch.zeros(2, 1, 20, 20)
    answer = dark.clone()
    answer[1, 0, 3, 3] = 0.5
    found = Nmse()(answer, dark, everything(dark)).tolist()
    assert found[0] == 0
    assert math.isnan(found[1])


@pytest.mark.parametrize("size", [(192, 176), (96, 80), (177, 201)])
def test_ms_ssim_takes_the_scales_that_there_is_room_for(size):
    generator = torch.Generator().manual_seed(1)
    target = torch.nn.functional.interpolate(torch.rand(2, 2, 24, 20, generator=generator), size, mode="bilinear")
    prediction = (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
    betas = MsSsim().scales(*size)
    assert len(betas) == (3 if size == (96, 80) else 5)
    assert sum(betas) == pytest.approx(1.0, abs=1e-3)
    found = MsSsim()(prediction, target, everything(target))
    for i in range(2):
        expected = reference.multiscale_structural_similarity_index_measure(
            prediction[i : i + 1], target[i : i + 1], data_range=1.0, betas=betas
        )
        assert float(found[i]) == pytest.approx(float(expected), rel=1e-5)
    assert MsSsim(betas=(0.5, 0.5)).scales(12, 200) == (1.0,)


def test_ms_ssim_in_a_region(pair):
    _, target = pair
    prediction = target.clone()
    prediction[:, :, :, :8] = 0.5  # far from the corner
    mask = corner(target)
    mask[:, :, :, :26] = False
    assert MsSsim()(prediction, target, mask).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    assert (MsSsim()(prediction, target, everything(target)) < 0.9).all()
    border = torch.zeros_like(mask)
    border[:, :, 0] = True  # the window reaches over all of it
    assert MsSsim()(prediction, target, border).isfinite().all()


def test_error_in_units_by_hand(pair):
    prediction, target = pair
    mask = corner(target)
    found = MaeInUnits().in_units(lambda images: 4096 * images - 1024)(prediction, target, mask)
    np.testing.assert_allclose(found, 4096 * masked_mean((prediction - target).abs(), mask), rtol=1e-5)
