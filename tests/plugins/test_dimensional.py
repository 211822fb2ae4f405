"""Components on volumes, beside independent computations and beside slices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor, nn

import gantk
import gantk_baselines.transforms as transforms
from gantk import GantkError, Moment
from gantk.evaluation import metrics
from gantk.plugins import Component, load_plugins
from gantk.plugins.dimensions import dimensions_of
from gantk.testing import Bench, make_group, make_image
from gantk_baselines.dimensional import Conv3d, resampled
from gantk_baselines.discriminators import MultiscalePatchGan, PatchGan
from gantk_baselines.generators import ResidualUnet, Resnet, Unet
from gantk_baselines.layers import BlurDown, BlurUp, InstanceNorm, OneMapConv3d
from gantk_baselines.patch_nce import _mirror, _sample

MOMENT = Moment("training", 0, 1, 0)
SIZE = (8, 12, 16)


def volume(batch: int = 2, channels: int = 3, size: tuple[int, ...] = SIZE, seed: int = 0) -> Tensor:
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed))


def bench(kind: str, name: str, **parameters: object) -> Bench:
    return Bench(load_plugins().registry.get(kind, name), parameters, size=SIZE)


# --- layers ----------------------------------------------------------------------------------------------


def test_blurred_doubling_is_trilinear_interpolation() -> None:
    x = volume()
    wanted = F.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=False)
    assert torch.allclose(BlurUp()(x), wanted, atol=1e-5)
    in_plane = F.interpolate(x, size=(8, 24, 32), mode="trilinear", align_corners=False)
    assert torch.allclose(BlurUp((False, True, True))(x), in_plane, atol=1e-5)


def test_blurred_halving_is_a_convolution() -> None:
    x, tap = volume(), torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.einsum("i,j,k->ijk", tap, tap, tap).expand(3, 1, 3, 3, 3)
    wanted = F.conv3d(F.pad(x, (1,) * 6, mode="reflect"), kernel, stride=2, groups=3)
    assert torch.allclose(BlurDown()(x), wanted, atol=1e-5)


def test_instance_norm_is_over_the_volume() -> None:
    x = volume() * 3 + 1
    normed = InstanceNorm(3)(x)
    wanted = (x - x.mean((2, 3, 4), keepdim=True)) / (x.var((2, 3, 4), unbiased=False, keepdim=True) + 1e-5).sqrt()
    assert torch.allclose(normed, wanted, atol=1e-5)


def test_the_last_convolution_to_one_map() -> None:
    layer, x = OneMapConv3d(3, 3), volume()
    assert torch.allclose(layer(x), F.conv3d(x, layer.weight, layer.bias), atol=1e-5)


def test_the_gradient_in_bf16_is_that_of_fp32() -> None:
    """torch's own leaves the gradient of such a kernel partly unwritten."""
    torch.manual_seed(0)
    layer = Conv3d(8, 16, 4, padding=1)
    for seed in range(10):
        x = volume(2, 8, (3, 4, 6), seed).requires_grad_()
        litter = [torch.full((n,), torch.nan) for n in (8192, 8192, 4096, 16384)]
        del litter  # its memory may be used next
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output = layer(x)
        output.float().square().mean().backward()
        found = layer.weight.grad.clone()
        layer.zero_grad()
        nn.functional.conv3d(x, layer.weight, layer.bias, padding=1).square().mean().backward()
        assert (found - layer.weight.grad).norm() < 0.02 * layer.weight.grad.norm()


# --- networks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [Resnet, Unet, ResidualUnet])
def test_generators_have_the_same_layers_in_both(cls: type[nn.Module]) -> None:
    small = {"channels": 2} | ({"blocks": 1} if cls is not Unet else {}) | ({"levels": 2} if cls is not Resnet else {})
    flat, deep = (cls(1, 1, dimensions=dimensions, **small) for dimensions in (2, 3))
    assert list(flat.state_dict()) == list(deep.state_dict())
    for name, weights in flat.state_dict().items():
        wanted = deep.state_dict()[name].shape
        assert tuple(weights.shape) == (wanted if weights.ndim < 4 else (*wanted[:2], *wanted[3:]))


@pytest.mark.parametrize("cls", [Resnet, Unet, ResidualUnet, PatchGan])
def test_a_slice_is_no_volume(cls: type[nn.Module]) -> None:
    arguments = {"in_channels": 1} | ({} if cls is PatchGan else {"out_channels": 1, "channels": 2})
    network = cls(dimensions=3, **arguments)
    with pytest.raises(GantkError, match=r"built for \(B, 1, D, H, W\)|\(B, 1, D, H, W\)"):
        network(torch.zeros(1, 1, 64, 64))


def test_scores_of_volumes_have_the_size_that_the_docstring_says() -> None:
    assert PatchGan(1, channels=2, layers=2, dimensions=3)(torch.zeros(1, 1, 16, 24, 32)).shape == (1, 1, 2, 4, 6)
    scales = MultiscalePatchGan(1, {}, scales=2, channels=2, layers=1, dimensions=3)(torch.zeros(1, 1, 12, 16, 24))
    assert [tuple(scores.shape[2:]) for scores in scales] == [(4, 6, 10), (1, 2, 4)]


# --- losses and weight maps ------------------------------------------------------------------------------


def similarity(a: np.ndarray, b: np.ndarray, sigma: float = 1.5, reach: int = 5) -> np.ndarray:
    """SSIM (Wang et al. 2004, eq. 13) with a Gaussian window of 2 · reach + 1 voxels and a mirrored border."""
    window = np.exp(-np.square(np.arange(-reach, reach + 1)) / (2 * sigma**2))
    window /= window.sum()

    def mean(x: np.ndarray) -> np.ndarray:
        for axis in range(3):
            x = ndimage.correlate1d(x, window, axis, mode="mirror")
        return x

    c1, c2 = 0.01**2, 0.03**2
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))


def test_ssim_of_volumes() -> None:
    made = bench("loss", "ssim")
    view = made.view()
    pairs = zip((view.output.detach().double() + 1) / 2, (view.target.double() + 1) / 2, strict=True)
    maps = np.stack([similarity(o[0].numpy(), t[0].numpy()) for o, t in pairs])
    assert made.value().item() == pytest.approx((1 - maps).mean() / 2, rel=1e-4)
    target = (make_image(2, 1, SIZE) + 1) / 2
    prediction = (target + 0.1 * torch.rand(target.shape)).clamp(0, 1)
    mask = torch.zeros(2, 1, *SIZE, dtype=torch.bool)
    mask[:, :, 2:6, 3:9, 4:12] = True
    found = metrics.Ssim()(prediction, target, mask)
    for value, p, t, m in zip(found, prediction.double(), target.double(), mask, strict=True):
        assert value == pytest.approx(similarity(p[0].numpy(), t[0].numpy())[m[0].numpy()].mean(), abs=1e-5)
    few = mask[:, :, :5]
    assert metrics.Ssim()(prediction[:, :, :5], target[:, :, :5], few).isnan().all()


def test_psnr_and_errors_of_volumes() -> None:
    target = (make_image(2, 1, SIZE) + 1) / 2
    prediction = (target + 0.1).clamp(0, 1)
    mask = target > 0
    error = (prediction - target).double().numpy()
    inside = mask.numpy()
    for number in range(2):
        mse = np.square(error[number][inside[number]]).mean()
        assert metrics.Mse()(prediction, target, mask)[number] == pytest.approx(mse, rel=1e-5)
        assert metrics.Psnr()(prediction, target, mask)[number] == pytest.approx(-10 * np.log10(mse), rel=1e-5)
        mae = np.abs(error[number][inside[number]]).mean()
        assert metrics.Mae()(prediction, target, mask)[number] == pytest.approx(mae, rel=1e-5)


def test_a_window_larger_than_a_slab_is_an_error_with_words() -> None:
    made = Bench(load_plugins().registry.get("loss", "ssim"), {}, size=(4, 16, 16))
    with pytest.raises(GantkError, match="a window of 11 pixels does not fit images of 4 × 16 × 16"):
        made.value()


def test_patches_of_volumes_are_places_in_three_dimensions() -> None:
    feature = volume()
    places = torch.tensor([0, 1, 16, 12 * 16, 8 * 12 * 16 - 1])
    patches = _sample({0: feature}, {0: places})[0]
    for number, (d, h, w) in enumerate([(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (7, 11, 15)]):
        assert torch.equal(patches[:, number], feature[:, :, d, h, w])
    mirrored = _sample({0: feature.flip(-1)}, {0: places})[0]
    assert torch.equal(_sample({0: feature}, {0: _mirror(places, 16)})[0], mirrored)


def test_the_difficulty_map_of_volumes() -> None:
    made = bench("weight_map", "difficulty", normalise="mean")
    view = made.view()
    scores = (1 - view.judge().detach()).abs()
    weight = made.weight()
    large = F.interpolate(scores, SIZE, mode="trilinear", align_corners=False)
    for number, there in enumerate(view.foreground):
        wanted = torch.where(there, large[number] / large[number][there].mean(), 0.2)
        assert torch.allclose(weight[number], wanted, atol=1e-5)


def test_edges_of_volumes() -> None:
    made = bench("weight_map", "edges", strength=2.0)
    view = made.view()
    slopes = [
        np.stack(np.gradient(np.pad(y[0].double().numpy(), 1, mode="edge")))[:, 1:-1, 1:-1, 1:-1] for y in view.target
    ]
    for weight, slope in zip(made.weight(), slopes, strict=True):
        steep = np.sqrt(np.square(slope).sum(0))
        assert np.allclose(weight[0].numpy(), 1 + 2 * steep / steep.max(), atol=1e-3)


# --- transforms and augmentations ------------------------------------------------------------------------


def test_a_turn_in_the_plane_is_that_of_each_slice() -> None:
    flat, deep = make_group(1, 1, 1, (20, 28)), make_group(1, 1, 1, (4, 20, 28))
    deep.source = flat.source[:, :, None].repeat(1, 1, 4, 1, 1)
    deep.target = flat.target[:, :, None].repeat(1, 1, 4, 1, 1)
    affine = transforms.Affine(degrees=30, scale=0, shift=0)
    angle = torch.tensor([0.7])
    draws = {4: torch.zeros(4, 1), 7: torch.zeros(7, 1)}
    draws[4][0], draws[7][2] = angle, angle
    affine._draws = lambda number, batch: draws[number]  # type: ignore[method-assign]
    turned, wanted = affine(deep, MOMENT), affine(flat, MOMENT)
    assert torch.allclose(turned.source, wanted.source[:, :, None].expand_as(turned.source), atol=1e-4)
    assert not torch.allclose(turned.source, deep.source, atol=1e-2)


def test_a_shift_of_volumes_is_along_each_axis() -> None:
    group = make_group(1, 1, 1, SIZE)
    affine = transforms.Affine(degrees=0, scale=0, shift=0.25)
    draws = torch.zeros(7, 1)
    draws[4:, 0] = torch.tensor([0.5, 1.0, -1.0])  # along x by 2 of 16, y by 3 of 12, z by -2 of 8
    affine._draws = lambda number, batch: draws  # type: ignore[method-assign]
    moved = affine(group, MOMENT)
    wanted = torch.full_like(group.source, -1)
    wanted[:, :, :-2, 3:, 2:] = group.source[:, :, 2:, :-3, :-2]
    assert torch.allclose(moved.source, wanted, atol=1e-4)
    labels = torch.zeros_like(group.segmentation)
    labels[:, :, :-2, 3:, 2:] = group.segmentation[:, :, 2:, :-3, :-2]
    assert torch.equal(moved.segmentation, labels)


def test_volumes_are_mirrored_left_to_right() -> None:
    group = make_group(3, 1, 1, SIZE)
    mirrored = transforms.Flip(1.0)(group, MOMENT)
    assert torch.equal(mirrored.source, group.source.flip(-1))
    assert torch.equal(mirrored.segmentation, group.segmentation.flip(-1))


def test_a_smooth_field_is_cubic_along_each_axis() -> None:
    along = [torch.randn(4, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    grid = torch.einsum("i,j,k->ijk", *along)[None, None]
    fine = [
        F.interpolate(line[None, None, :, None].expand(1, 1, 4, 4), (side, 4), mode="bicubic")[0, 0, :, 0]
        for line, side in zip(along, SIZE, strict=True)
    ]
    assert torch.allclose(transforms._cubic(grid, SIZE)[0, 0], torch.einsum("i,j,k->ijk", *fine), atol=1e-5)


def test_resampling_takes_pixels_as_areas() -> None:
    image = volume(1, 1, (2, 3, 4))
    assert torch.equal(
        resampled(image, (4, 6, 8), "nearest"),
        image.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4),
    )
    assert torch.allclose(resampled(image, (4, 6, 8), "linear"), BlurUp()(image), atol=1e-5)


# --- what says that it is of slices ----------------------------------------------------------------------


def test_what_works_on_volumes_and_what_does_not() -> None:
    found = {f"{c.kind} {c.name}": dimensions_of(c) for c in load_plugins().registry}
    for name in ("ds3", "resnet", "residual_unet", "unet"):
        assert found[f"generator {name}"] == (2, 3)
    for name in ("patchgan", "multiscale_patchgan"):
        assert found[f"discriminator {name}"] == (2, 3)
    of_pictures = {
        "generator ds3_unet",
        "generator resvit",
        "generator timm",
        "metric fid",
        "metric kid",
        "metric lpips",
    }
    assert {found[name] for name in of_pictures} == {(2,)}


def test_an_image_pool_keeps_volumes() -> None:
    made = bench("loss", "lsgan", pool=3)
    pool = made.translators["generator"].pools["term"]
    made.train(2)
    assert pool.images.shape == (3, 1, *SIZE)
    assert int(pool.stored) == 3


def test_gantk_names_the_type() -> None:
    assert gantk.Dimensions.__args__ == (2, 3)
    assert isinstance(load_plugins().registry.get("generator", "unet"), Component)
