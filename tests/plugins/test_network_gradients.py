"""Gradients of the networks in fp32, in every memory layout, against float64 and the norm's formula."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk_baselines.discriminators import PatchGan
from gantk_baselines.generators import Resnet, Unet
from gantk_baselines.layers import InstanceNorm
from gantk_ds3net.generator import Ds3Generator

LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


class FormulaNorm(nn.Module):
    """Instance norm as its formula, differentiated by elementary operations."""

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean((2, 3), keepdim=True)
        return centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()


class Judge(nn.Module):
    """A PatchGAN with its map as a feature, so that all networks are tested alike."""

    def __init__(self) -> None:
        super().__init__()
        self.patchgan = PatchGan(2, channels=8, layers=2)

    def forward(self, image: Tensor, layers: tuple[int, ...]) -> tuple[Tensor, dict[int, Tensor]]:
        x, features = image, {}
        for number, layer in enumerate(self.patchgan.layers):
            x = layer(x)
            features[number] = x
        return x, {n: features[n] for n in layers}


NETWORKS = {
    "resnet": (lambda: Resnet(2, 1, channels=8, blocks=2), (0, 2, 4, 5, 9, 12, 13)),
    "resnet-strided": (lambda: Resnet(2, 1, channels=8, blocks=2, antialias=False), (0, 4, 5, 8, 11)),
    "unet": (lambda: Unet(2, 1, levels=3, channels=8, norm="instance", dropout=0.0), (0, 1, 3, 4)),
    "unet-batch": (lambda: Unet(2, 1, levels=3, channels=8, dropout=0.0), (0, 1, 3, 4)),
    "patchgan": (Judge, (2, 3)),
    "ds3": (lambda: Ds3Generator(2, 1, channels=8, blocks=2), (0, 2, 4, 5, 9, 12, 14)),
}


def reference_of(network: nn.Module) -> nn.Module:
    reference = copy.deepcopy(network).double()
    for module in list(reference.modules()):
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm):
                setattr(module, name, FormulaNorm())
    return reference


def loss(network: nn.Module, image: Tensor, layers: tuple[int, ...], of: str, permuted: bool) -> Tensor:
    """Random linear forms of each feature, and of the output; `permuted` as CUT samples patches."""
    output, features = network(image, layers)
    generator = torch.Generator().manual_seed(1)

    def form(x: Tensor) -> Tensor:
        weights = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype)
        scale = 1 / x[0].numel()
        if permuted:
            # indexing, as sampling does, gives a gradient contiguous as (B, H · W, C): channels-last strides
            places = torch.randperm(x[0, 0].numel())
            x, weights = (t.permute(0, 2, 3, 1).flatten(1, 2)[:, places] for t in (x, weights))
        return (x * weights).sum() * scale

    total = sum(form(features[n]) for n in layers)
    return total if of == "features" else form(output) + total


@pytest.mark.parametrize("permuted", [False, True], ids=["plain", "permuted"])
@pytest.mark.parametrize("of", ["features", "features-and-output"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("kind", NETWORKS)
def test_parameter_gradients(kind, batch, layout, of, permuted):
    torch.manual_seed(3)
    build, layers = NETWORKS[kind]
    network = build()
    reference = reference_of(network)
    image = torch.rand(batch, 2, 16, 24) * 2 - 1

    loss(reference, image.double(), layers, of, permuted=False).backward()
    network = network.to(memory_format=LAYOUTS[layout])
    loss(network, image.to(memory_format=LAYOUTS[layout]), layers, of, permuted).backward()

    exact = {n: p.grad for n, p in reference.named_parameters() if p.grad is not None}
    actual = {n: p.grad.double() for n, p in network.named_parameters() if p.grad is not None}
    assert exact.keys() == actual.keys()
    total = torch.stack([g.norm() for g in exact.values()]).norm()
    for name, gradient in actual.items():
        # a bias in front of a norm has no gradient but rounding: hence the absolute part
        assert (gradient - exact[name]).norm() < 1e-3 * exact[name].norm() + 1e-5 * total, name
    error = torch.stack([(actual[n] - exact[n]).norm() for n in exact]).norm()
    assert error < 1e-4 * total


def norm_gradient_error(norm, batch: int, dtype: torch.dtype) -> float:
    """Relative error of the norm's input gradient where the incoming one is strided as channels-last."""
    torch.manual_seed(0)
    x = torch.randn(batch, 8, 6, 10, dtype=dtype)
    incoming = torch.randn(batch, 6, 10, 8, dtype=dtype).permute(0, 3, 1, 2)
    exact = x.double().clone().requires_grad_()
    FormulaNorm()(exact).backward(incoming.double().contiguous())
    x.requires_grad_()
    norm(x).backward(incoming)
    return ((x.grad.double() - exact.grad).norm() / exact.grad.norm()).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [1, 2])
def test_instance_norm_gradient_with_channels_last_strides(batch, dtype):
    assert norm_gradient_error(InstanceNorm(8), batch, dtype) < 1e-5


def test_torch_instance_norm_is_still_wrong_there():
    """Why `InstanceNorm` is not `F.instance_norm`; once torch is right, the detour can go."""
    error = norm_gradient_error(F.instance_norm, 1, torch.float64)
    if error < 1e-6:
        pytest.skip("this torch's instance_norm has the right gradient")
    assert error > 0.1


@pytest.mark.parametrize("antialias", [True, False])
def test_second_order_gradients_of_the_discriminator(antialias):
    """A gradient penalty differentiates through the gradient: against float64 with the formula."""
    torch.manual_seed(0)
    network = PatchGan(1, channels=4, layers=2, antialias=antialias)
    image = torch.rand(2, 1, 16, 20)

    def penalise(judge: nn.Module, x: Tensor) -> dict[str, Tensor]:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
        (slope.flatten(1).norm(dim=1) - 1).square().mean().backward()
        return {n: p.grad.double() for n, p in judge.named_parameters() if p.grad is not None}

    exact, actual = penalise(reference_of(network), image.double()), penalise(network, image)
    total = torch.stack([g.norm() for g in exact.values()]).norm()
    assert total > 0
    for name in exact.keys() | actual.keys():
        zero = torch.zeros(())
        assert (actual.get(name, zero) - exact.get(name, zero)).norm() < 1e-3 * total, name
