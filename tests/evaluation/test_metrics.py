"""Metrics against torchmetrics, scikit-image and NumPy."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional import image as reference

from gantk.data.batch import Group
from gantk.errors import EvaluationError
from gantk.evaluation.metrics import Mse, Psnr, Ssim
from gantk.evaluation.regions import region_mask

METRICS = [Ssim(), Mse(), Psnr()]


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
    from torchmetrics.functional import mean_squared_error as mse

    return float(mse(prediction, target))


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


def test_regions_by_hand():
    source = torch.full((1, 2, 2, 2), -1.0)
    source[0, 1, 0, 0] = 0.3
    source[0, 0, 1, 1] = -0.9
    segmentation = torch.tensor([[[[4, 0], [0, 1]]]], dtype=torch.uint8)
    group = Group(source, source[:, :1], segmentation, ("p",), (0,))
    assert region_mask("image", group).flatten().tolist() == [True] * 4
    assert region_mask("brain", group).flatten().tolist() == [True, False, False, True]
    assert region_mask("tumour", group).flatten().tolist() == [True, False, False, True]
    with pytest.raises(EvaluationError, match="'tumour'"):
        region_mask("tumor", group)
