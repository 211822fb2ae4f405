"""Building blocks of the networks: norms, antialiased sampling, initialization, feature taps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gantk import Dimensions, GantkError, checkpoint
from gantk_baselines.dimensional import BATCH_NORM, CONVOLUTION, CONVOLUTIONS

__all__ = [
    "Blocks",
    "BlurDown",
    "BlurUp",
    "Dropout",
    "Init",
    "InstanceNorm",
    "Levels",
    "Norm",
    "OneMapConv2d",
    "OneMapConv3d",
    "check_image",
    "check_layers",
    "convolution_bias",
    "final_convolution",
    "initialise",
    "normalisation",
    "run_layers",
]

Norm = Literal["instance", "batch", "none"]
Init = Literal["normal", "xavier"]
Dropout = Annotated[float, Field(ge=0, lt=1)]
"""The dropout probability, below 1."""
Blocks = Annotated[int, Field(ge=0, le=1000)]
"""Number of residual blocks; may be 0."""
Levels = Annotated[int, Field(ge=1, le=16)]
"""Number of halvings of an image; 16 reduce 65536 pixels to one."""


class InstanceNorm(nn.Module):
    """Instance normalization over an image's pixels, (B, C, *spatial) to the same shape, the same at training and test
    time.

    It is computed as group normalization with one channel per group, which is the same function, because on a CPU
    `F.instance_norm` returns a wrong gradient at batch size 1 if the incoming gradient is in channels-last layout.

    Args:
        channels: C.
        affine: whether to learn a scale and a shift per channel (not in pix2pix, CycleGAN and CUT).
        eps: added to the variance.
    """

    def __init__(self, channels: int, affine: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.channels, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.channels}, affine={self.weight is not None}, eps={self.eps}"


def normalisation(norm: Norm, channels: int, dimensions: Dimensions = 2) -> nn.Module:
    """The normalization layer of the given name for `channels` channels."""
    match norm:
        case "instance":
            return InstanceNorm(channels)
        case "batch":
            return BATCH_NORM[dimensions](channels)
        case "none":
            return nn.Identity()
    raise GantkError(f"norm = {norm!r} is not known", mend='use "instance", "batch" or "none"')


def convolution_bias(norm: Norm) -> bool:
    """Whether a convolution before this norm has a bias: yes, except before batch norm, as published."""
    return norm != "batch"


def _resampling(kind: Literal["down", "up"], size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix of blur and resampling along one axis, including the border: (size, size / 2) or (size, 2 · size)."""
    axis = torch.eye(size).unsqueeze(1)
    if kind == "down":
        taps = torch.tensor([[[1.0, 2.0, 1.0]]]) / 4
        matrix = F.conv1d(F.pad(axis, (1, 1), mode="reflect"), taps, stride=2)
    else:
        taps = torch.tensor([[[1.0, 3.0, 3.0, 1.0]]]) / 4
        matrix = F.conv_transpose1d(F.pad(axis, (1, 1), mode="replicate"), taps, stride=2)[..., 3:-3]
    return matrix.squeeze(1).to(dtype=dtype, device=device)


@lru_cache(maxsize=64)
def _kept(kind: Literal["down", "up"], size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The same matrix, cached."""
    # the cache may be filled inside inference_mode, whose tensors could never be saved for a backward pass
    with torch.inference_mode(False), torch.no_grad():
        return _resampling(kind, size, dtype, device)


class _Resample(nn.Module):
    """Separable blur and resampling as two matrix products.

    On a CPU, an equivalent padded depthwise convolution takes up to twice the time in fp32 and ten times in bf16. All
    taps (1/4, 1/2, 3/4, 1) are exact in bf16. Unlike interpolation, the result on a GPU is reproducible.

    Args:
        axes: for each axis of an image, whether it is resampled; default: all axes.
    """

    kind: Literal["down", "up"]

    def __init__(self, axes: Sequence[bool] | None = None) -> None:
        super().__init__()
        self.axes = None if axes is None else tuple(axes)

    def forward(self, x: Tensor) -> Tensor:
        *deep, rows, columns = self.axes or (True,) * (x.ndim - 2)
        if columns:
            x = x @ self._matrix(x, -1)
        if rows:
            x = self._matrix(x, -2).t() @ x
        if any(deep):
            x = (self._matrix(x, -3).t() @ x.flatten(-2)).unflatten(-1, x.shape[-2:])
        return x

    def _matrix(self, x: Tensor, axis: int) -> Tensor:
        make = _resampling if torch.compiler.is_exporting() else _kept  # an exported network takes any size
        return make(self.kind, x.shape[axis], x.dtype, x.device)


class BlurDown(_Resample):
    """Antialiased halving, (B, C, H, W) to (B, C, ⌈H/2⌉, ⌈W/2⌉), volumes alike: blur [1, 2, 1] / 4 along each axis,
    reflected border, every second pixel (Zhang, "Making convolutional networks shift-invariant again", ICML
    2019; as in CUT)."""

    kind = "down"


class BlurUp(_Resample):
    """Antialiased doubling, (B, C, H, W) to (B, C, 2H, 2W), volumes alike: zeros inserted, blur [1, 3, 3, 1] / 4 along
    each axis, replicated border (as in CUT): equal to linear interpolation by two."""

    kind = "up"


class OneMapConv2d(nn.Conv2d):
    """An unpadded, unstrided convolution (B, C, H, W) to one map (B, 1, H − k + 1, W − k + 1).

    The kernel's columns are computed as k maps at once, which are then shifted and added: the same sum, but
    about four times faster on a CPU, whose convolutions work on eight or sixteen output channels at a time.
    """

    def __init__(self, in_channels: int, kernel_size: int, bias: bool = True) -> None:
        super().__init__(in_channels, 1, kernel_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        k = self.kernel_size[1]
        columns = F.conv2d(x, self.weight[0].permute(2, 0, 1).unsqueeze(-1))  # (B, k, H − k + 1, W)
        shift = torch.eye(k, dtype=columns.dtype, device=columns.device).reshape(1, k, 1, k)
        return F.conv2d(columns, shift, self.bias)


class OneMapConv3d(nn.Conv3d):
    """The same for volumes: (B, C, D, H, W) to (B, 1, D − k + 1, H − k + 1, W − k + 1)."""

    def __init__(self, in_channels: int, kernel_size: int, bias: bool = True) -> None:
        super().__init__(in_channels, 1, kernel_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        k = self.kernel_size[2]
        columns = F.conv3d(x, self.weight[0].permute(3, 0, 1, 2).unsqueeze(-1))
        shift = torch.eye(k, dtype=columns.dtype, device=columns.device).reshape(1, k, 1, 1, k)
        return F.conv3d(columns, shift, self.bias)


def final_convolution(in_channels: int, out_channels: int, kernel_size: int, dimensions: Dimensions = 2) -> nn.Module:
    """An unpadded convolution to the image, optimized for images with one channel."""
    if out_channels == 1:
        return (OneMapConv2d if dimensions == 2 else OneMapConv3d)(in_channels, kernel_size)
    return CONVOLUTION[dimensions](in_channels, out_channels, kernel_size)


def initialise(module: nn.Module, init: Init = "xavier", gain: float = 0.02) -> None:
    """Initialize all convolutions, linear layers and norms in place, as pix2pix, CycleGAN and CUT do.

    Args:
        module: the network.
        init: "normal": weights N(0, gain²) (pix2pix, CycleGAN); "xavier": Xavier normal with the given gain (CUT).
            Biases are 0, learned norm weights N(1, gain²).
        gain: the standard deviation (normal) or the gain (xavier).
    """
    for layer in module.modules():
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if isinstance(layer, (*CONVOLUTIONS, nn.Linear)):
            if init == "normal":
                nn.init.normal_(layer.weight, 0.0, gain)
            elif init == "xavier":
                nn.init.xavier_normal_(layer.weight, gain)
            else:
                raise GantkError(f"init = {init!r} is not known", mend='use "normal" or "xavier"')
        elif isinstance(layer, (*BATCH_NORM.values(), InstanceNorm)):
            if weight is not None:
                nn.init.normal_(weight, 1.0, gain)
        else:
            continue
        if bias is not None:
            nn.init.zeros_(bias)


def run_layers(
    layers: nn.Sequential, x: Tensor, wanted: Collection[int] = (), first: int = 0, last: int | None = None
) -> tuple[Tensor, dict[int, Tensor]]:
    """Run numbered layers in order and keep the outputs of the requested layers.

    Args:
        layers: the layers; the first has the number `first`.
        x: (B, C, *spatial) input of the first layer.
        wanted: numbers of the layers to keep; unknown numbers, which belong to other networks, are ignored.
        first: number of the first layer.
        last: number of the last layer to run; None runs all.

    Returns:
        The last output and the wanted outputs by number.
    """
    features: dict[int, Tensor] = {}
    segment: list[nn.Module] = []
    for number, layer in enumerate(layers, start=first):
        if last is not None and number > last:
            break
        single = next(layer.children(), None) is None  # else it is a segment by itself
        if not single or (isinstance(layer, CONVOLUTIONS) and any(isinstance(one, CONVOLUTIONS) for one in segment)):
            x, segment = _through(segment, x), []
        if single:
            segment.append(layer)
        else:
            x = layer(x)
        if number in wanted:
            x, segment = _through(segment, x), []
            features[number] = x
    return _through(segment, x), features


def _through(segment: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Run layers in sequence; for each convolution, norm and activation, backward keeps only the first input."""
    return checkpoint(_in_turn, tuple(segment), x, of=segment) if segment else x


def _in_turn(segment: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in segment:
        x = layer(x)
    return x


def check_layers(layers: Collection[int], count: int, network: str) -> None:
    """Raise GantkError if a requested layer is not among the network's layers 0 … count − 1."""
    wrong = sorted(n for n in layers if not 0 <= n < count)
    if wrong:
        raise GantkError(
            f"layer {wrong[0]} does not exist",
            where=network,
            why=f"its layers are numbered 0 to {count - 1}",
            mend="choose layers in this range",
        )


def check_image(
    image: Tensor, channels: int, multiple: int | Sequence[int], network: str, least: int = 1, dimensions: int = 2
) -> None:
    """Raise GantkError if an image has a wrong shape or an unsupported size; multiples may differ by axis."""
    if image.ndim != dimensions + 2 or image.shape[1] != channels:
        raise GantkError(
            f"an image of shape {tuple(image.shape)} does not fit the network",
            where=network,
            why=f"the network was built for (B, {channels}, {'D, ' * (dimensions - 2)}H, W)",
            mend="check the recipe's inputs and targets",
        )
    size = image.shape[2:]
    multiples = [multiple] * dimensions if isinstance(multiple, int) else list(multiple)
    if any(side % one or side < least for side, one in zip(size, multiples, strict=True)):
        same = multiples[0] if len(set(multiples)) == 1 else None
        wanted = "sizes" if same == 1 else f"multiples of {same or ', '.join(map(str, multiples))}"
        raise GantkError(
            f"an image of {'×'.join(map(str, size))} pixels does not fit the network",
            where=network,
            why=f"{'depth, ' * (dimensions - 2)}height and width must be {wanted} of at least {max(least, same or 1)}",
            mend="change the crop size or the network's depth in the recipe",
        )
