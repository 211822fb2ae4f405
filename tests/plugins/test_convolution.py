"""Convolutions computed in another way have torch's values and gradients, and are used where they pay alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from gantk_baselines import convolution as module
from gantk_baselines.convolution import Conv2d, ConvTranspose2d
from gantk_baselines.winograd import KERNELS

TORCHS = {Conv2d: nn.Conv2d, ConvTranspose2d: nn.ConvTranspose2d}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which way each convolution took; small ones may take ours too."""
    taken: list[str] = []

    def watch(name: str, of: object) -> None:
        found = getattr(of, name)
        monkeypatch.setattr(of, name, lambda *given, **named: taken.append(name) or found(*given, **named))

    watch("winograd", module)
    watch("unfold", module.F)
    watch("fold", module.F)
    monkeypatch.setattr(module, "WEIGHTS", 1)
    monkeypatch.setattr(module, "PIXELS", 20)
    monkeypatch.setattr(module, "pays", lambda *of: of[2] in KERNELS)
    return taken


def plain(layer: nn.Module) -> nn.Module:
    """The same layer of torch's class."""
    found = copy.deepcopy(layer)
    found.__class__ = TORCHS[type(layer)]
    return found


def gradients(layer: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    x = x.clone().requires_grad_()
    output = layer(x)
    return output, *torch.autograd.grad(output.square().sum(), (x, *layer.parameters()))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "way"),
    [
        (lambda bias: Conv2d(3, 5, 4, stride=2, padding=1, bias=bias), "unfold"),
        (lambda bias: Conv2d(3, 5, 3, stride=2, bias=bias), "unfold"),
        (lambda bias: Conv2d(3, 5, 3, padding=1, bias=bias), "winograd"),
        (lambda bias: Conv2d(3, 5, 4, padding=1, bias=bias), "winograd"),
        (lambda bias: ConvTranspose2d(3, 5, 4, stride=2, padding=1, bias=bias), "fold"),
        (lambda bias: ConvTranspose2d(3, 5, 3, stride=2, padding=1, output_padding=1, bias=bias), "fold"),
    ],
)
def test_values_and_gradients_are_torchs(own: list[str], layer, way: str, bias: bool) -> None:
    torch.manual_seed(0)
    made = layer(bias)
    small = isinstance(made, ConvTranspose2d)
    x = torch.randn(2, 3, *((2, 4) if small else (6, 5)))
    for mine, theirs in zip(gradients(made, x), gradients(plain(made), x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    assert own == [way]
    assert made(x).stride() == plain(made)(x).stride()  # by which dropout draws
    own.pop()
    x = torch.randn(2, 3, 9, 9)  # too many pixels for a product of matrices
    torch.testing.assert_close(made(x), plain(made)(x), rtol=1e-4, atol=1e-4)
    assert own == ([way, way] if way == "winograd" else [way])


@pytest.mark.parametrize(
    "options",
    [
        {"dilation": 2},
        {"groups": 2},
        {"padding": "same"},
        {"padding": (0, 1)},
        {"padding": 1, "padding_mode": "reflect"},
    ],
)
def test_other_convolutions_are_torchs(own: list[str], options: dict[str, object]) -> None:
    Conv2d(4, 4, 3, **options)(torch.randn(1, 4, 7, 7))  # type: ignore[arg-type]
    Conv2d(4, 4, 5)(torch.randn(1, 4, 12, 12))
    layer = ConvTranspose2d(4, 4, 3, stride=2)
    assert layer(torch.randn(1, 4, 2, 2), output_size=[6, 6]).shape == (1, 4, 6, 6)
    assert own == []


def test_other_precisions_take_what_is_right_for_them(own: list[str]) -> None:
    layer, x = Conv2d(4, 4, 3), torch.randn(1, 4, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        assert own == []
        few = layer(x[..., :5, :5])
        assert few.dtype == torch.bfloat16
        assert own == ["unfold"]
        torch.testing.assert_close(few, plain(layer)(x[..., :5, :5]), rtol=2e-2, atol=2e-2)
    double = copy.deepcopy(layer).double()
    torch.testing.assert_close(double(x.double()), plain(double)(x.double()))
    assert own == ["unfold"]


def test_an_exported_network_has_torchs_convolutions(own: list[str]) -> None:
    network = nn.Sequential(Conv2d(4, 4, 3), Conv2d(4, 4, 4, stride=2), ConvTranspose2d(4, 4, 3)).eval()
    x = torch.randn(1, 4, 9, 9)
    exported = torch.export.export(network, (x,))
    assert own == []
    called = {node.target for node in exported.graph.nodes if node.op == "call_function"}
    assert {str(target).split(".")[1] for target in called} <= {"conv2d", "conv_transpose2d"}
    torch.testing.assert_close(exported.module()(x), network(x), rtol=1e-4, atol=1e-4)
    assert own == ["winograd", "unfold", "fold"]


@pytest.mark.parametrize("kernel", [1, 3, 4, 5, 7])
def test_wide_layers_of_every_kernel_have_torchs_values(kernel: int) -> None:
    torch.manual_seed(0)
    layer, x = Conv2d(128, 128, kernel, padding=1), torch.randn(1, 128, 40, 40)
    found, wanted = layer(x), plain(layer)(x)
    assert torch.equal(found, wanted) == (kernel not in KERNELS)  # another algorithm rounds otherwise
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert torch.equal(layer(x[..., :14, :14]), plain(layer)(x[..., :14, :14]))  # too few tiles for it


def test_an_image_smaller_than_the_kernel_is_refused_by_torch() -> None:
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        Conv2d(512, 512, 4)(torch.randn(1, 512, 2, 2))


def test_weights_are_those_of_torchs_layers() -> None:
    for ours, theirs in TORCHS.items():
        assert ours(2, 3, 3).state_dict().keys() == theirs(2, 3, 3).state_dict().keys()
