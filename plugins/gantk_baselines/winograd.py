"""Convolutions with kernels of 3×3 and 4×4 and fewer multiplications."""

from __future__ import annotations

from functools import lru_cache, reduce
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["KERNELS", "pays", "winograd"]

KERNELS = (3, 4)
WINDOW = 6  # pixels of a side of the input of which a tile of the output is computed, of 4 or 3 pixels
CHANNELS = 128  # fewer do not pay for the transforms
TILES = 64  # nor do fewer tiles for that of the weights
PIECE = 256  # tiles at once: of more, the transformed ones leave the cache


def pays(channels: int, outputs: int, kernel: int, images: int, height: int, width: int) -> bool:
    """Whether it is faster than torch's convolution for outputs of this size, according to measurements."""
    if kernel not in KERNELS or min(channels, outputs) < CHANNELS:
        return False
    rows, columns = _tiles(height, width, WINDOW - kernel + 1)
    return images * rows * columns >= TILES


def winograd(x: Tensor, weight: Tensor, padding: int = 0) -> Tensor:
    """A convolution by Winograd's minimal filtering, F(4×4, 3×3) or F(3×3, 4×4), with gradients of any order.

    The result equals torch's up to rounding: in single precision about 2e-6 of the largest output instead of 3e-7. A
    tile of 4×4 pixels (3×3 with the larger kernel) takes 36 products per pair of channels instead of 144 (Lavin and
    Gray, "Fast algorithms for convolutional neural networks", CVPR 2016; Winograd, "Arithmetic complexity of
    computations", 1980).

    Args:
        x: (B, C, H, W).
        weight: (O, C, K, K), K is 3 or 4.
        padding: zeros around x, 0 to K − 1.

    Returns:
        (B, O, H + 2 · padding − K + 1, W + 2 · padding − K + 1).
    """
    found: Tensor = _Winograd.apply(x, weight, padding)
    return found


class _Winograd(torch.autograd.Function):
    """The backward pass consists of differentiable operations."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return _convolution(x, weight, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            around = weight.shape[-1] - 1 - ctx.padding
            of_x = _convolution(gradient, weight.flip(2, 3).transpose(0, 1), around)
        if ctx.needs_input_grad[1]:
            of_weight = _weight_gradient(x, gradient, weight.shape[-1], ctx.padding)
        return of_x, of_weight, None


def _convolution(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    outputs, channels, kernel = weight.shape[:3]
    matrices, halo, tile = _matrices(kernel, x.dtype), kernel - 1, WINDOW - kernel + 1
    height, width = (side + 2 * padding - halo for side in x.shape[2:])
    kernels = (matrices.kernel @ weight.reshape(-1, kernel**2).t()).view(WINDOW**2, outputs, channels)

    def of(piece: Tensor) -> Tensor:
        size = (len(piece), *_tiles(piece.shape[2] - halo, width, tile))
        products = kernels @ _windows(piece, kernel)  # one matrix product for each of the 36
        found = (matrices.output @ products.flatten(1)).view(tile, tile, outputs, *size)
        return found.permute(3, 2, 4, 0, 5, 1).reshape(size[0], outputs, size[1] * tile, size[2] * tile)

    pieces = _pieces(_padded(x, padding, height, width, kernel), halo, tile)
    whole = torch.cat([torch.cat([of(piece) for piece in rows], 2) for rows in pieces])
    return whole[..., :height, :width].contiguous()  # dropout draws as after torch's


def _weight_gradient(x: Tensor, gradient: Tensor, kernel: int, padding: int) -> Tensor:
    matrices, halo, tile = _matrices(kernel, x.dtype), kernel - 1, WINDOW - kernel + 1
    height, width = gradient.shape[2:]

    def of(output: Tensor, input: Tensor) -> Tensor:
        tiles = output.unflatten(3, (-1, tile)).unflatten(2, (-1, tile)).permute(3, 5, 1, 0, 2, 4)
        products = (matrices.output.t() @ tiles.reshape(tile**2, -1)).view(WINDOW**2, gradient.shape[1], -1)
        return products @ _windows(input, kernel).transpose(1, 2)

    outputs = _pieces(F.pad(gradient, (0, -width % tile, 0, -height % tile)), 0, tile)
    inputs = _pieces(_padded(x, padding, height, width, kernel), halo, tile)
    kernels = reduce(torch.add, map(of, chain.from_iterable(outputs), chain.from_iterable(inputs)))
    return (matrices.kernel.t() @ kernels.flatten(1)).t().reshape(gradient.shape[1], x.shape[1], kernel, kernel)


def _windows(whole: Tensor, kernel: int) -> Tensor:
    """The transformed windows of a padded input (B, C, H, W), as (36, C, B · tiles)."""
    step = WINDOW - kernel + 1
    windows = whole.transpose(0, 1).unfold(2, WINDOW, step).unfold(3, WINDOW, step).reshape(-1, WINDOW**2)
    return (_matrices(kernel, whole.dtype).input @ windows.t()).view(WINDOW**2, whole.shape[1], -1)


def _pieces(whole: Tensor, halo: int, tile: int) -> list[list[Tensor]]:
    """Groups of images, each divided into rows of tiles with a halo below, that fit into a processor's cache."""
    rows, columns = _tiles(whole.shape[2] - halo, whole.shape[3] - halo, tile)
    step = max(1, PIECE // columns)
    return [
        [part[:, :, row * tile : min(row + step, rows) * tile + halo] for row in range(0, rows, step)]
        for part in whole.split(max(1, PIECE // (rows * columns)))
    ]


def _padded(x: Tensor, before: int, height: int, width: int, kernel: int) -> Tensor:
    """The input for an output of this size, padded with zeros before it, and after it up to a whole number of tiles."""
    tile = WINDOW - kernel + 1
    below, right = (
        output + -output % tile + kernel - 1 - before - side
        for output, side in zip((height, width), x.shape[2:], strict=True)
    )
    return F.pad(x, (before, right, before, below)) if any((before, right, below)) else x


def _tiles(height: int, width: int, tile: int) -> tuple[int, int]:
    return -(-height // tile), -(-width // tile)


class _Matrices(NamedTuple):
    """The transforms for a tile of M pixels and a kernel of K, for both axes at once."""

    input: Any  # (36, 36)
    kernel: Any  # (36, K²)
    output: Any  # (M², 36)


@lru_cache(maxsize=8)
def _matrices(kernel: int, dtype: torch.dtype) -> _Matrices:
    """The Toom-Cook matrices: tile and kernel are polynomials that are multiplied at the points and at infinity.

    The choice of points is our own; with the usual points 0, ±1 and ±2 the error is four times as large.
    """
    points, tile = (0.0, 0.75, -0.75, 1.5, -1.5), WINDOW - kernel + 1
    powers = np.array(points)[:, None] ** np.arange(WINDOW)
    last = np.eye(WINDOW)[-1]  # the value at infinity
    roots = [[other for other in points if other != point] for point in points]
    scale = [np.prod(np.subtract(point, others)) for point, others in zip(points, roots, strict=True)]
    products = [np.append(np.poly(others)[::-1], 0) for others in roots]  # of x − root, lowest power first
    sides = _Matrices(
        input=np.stack([*products, np.poly(points)[::-1]]),
        kernel=np.vstack([powers[:, :kernel] / np.array(scale)[:, None], last[-kernel:]]),
        output=np.vstack([powers[:, :tile], last[-tile:]]).T,
    )
    with torch.inference_mode(False), torch.no_grad():  # tensors of inference could not be saved for a backward pass
        return _Matrices(*(torch.from_numpy(np.kron(side, side)).to(dtype) for side in sides))
