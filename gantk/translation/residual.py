"""A generator that changes one of its inputs, instead of making an image from nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor, nn

from gantk.data.made import make_image, sizes_to_try
from gantk.data.normalisation import BACKGROUND
from gantk.errors import GantkError, PluginError
from gantk.tensors import take_channels
from gantk.translation.protocols import Translation, output_of

__all__ = ["Residual", "bare"]

Given = Callable[[Tensor], Mapping[str, Tensor]]


class Residual(nn.Module):
    """A network whose output δ in [-1, 1] moves an image x of its input toward 1 or -1.

    y = x + δ·(1 − x) where δ ≥ 0, and x + δ·(1 + x) elsewhere: y stays in [-1, 1] without a clamp, which would cut
    gradients, and δ = 0 is the identity. Pixels that are background in every input stay background. The parameters of
    the network's last layer are set to zero, or of its last layers where several end in its output, so that training
    starts at the identity.

    Args:
        network: a generator, `(B, C, *spatial)` to `(B, T, *spatial)`.
        channels: for each of the T output channels the channel of the input that it moves.
        in_channels: C.
        size: (H, W) or (D, H, W) of an image that the network takes.
        origin: how errors call the network, with its plugin.
        images: the number of first channels that are images; the other channels, outputs of networks, are not used to
            find the background.
        given: its inputs beside an image.

    Raises:
        PluginError: the network does not give 0 when its last layer is zero.
    """

    def __init__(
        self,
        network: nn.Module,
        channels: Sequence[int],
        in_channels: int,
        size: Sequence[int],
        origin: str,
        given: Given = lambda image: {},
        images: int | None = None,
    ) -> None:
        super().__init__()
        self.images = images
        self.network = network
        self.channels = tuple(channels)
        self.size_multiple: int | Sequence[int] = getattr(network, "size_multiple", 1)
        *small, own = (make_image(1, in_channels, fitting) for fitting in sizes_to_try(size, self.size_multiple))
        _start_at_zero(network, small, own, origin, given)

    def forward(
        self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True, **given: Tensor
    ) -> Tensor | Translation:
        """As the network's; features are the network's own."""
        plain = not layers and decode
        answer = self.network(image, **given) if plain else self.network(image, layers, decode, **given)
        if not isinstance(answer, Translation):
            return self._moved(image, answer)
        return replace(answer, output=None if answer.output is None else self._moved(image, answer.output))

    def start(self, image: Tensor) -> Tensor:
        """The image `(B, T, *spatial)` in its input that it moves."""
        return take_channels(image, self.channels)

    def _moved(self, image: Tensor, change: Tensor) -> Tensor:
        start = self.start(image)
        foreground = (image[:, : self.images] > BACKGROUND).any(dim=1, keepdim=True)
        moved = start + change * torch.where(change >= 0, 1 - start, 1 + start)
        return torch.where(foreground, moved, BACKGROUND)


def bare(module: nn.Module) -> nn.Module:
    """The network that a plugin supplied, without the core's wrapper."""
    return module.network if isinstance(module, Residual) else module


@torch.no_grad()
def _start_at_zero(network: nn.Module, small: Sequence[Tensor], own: Tensor, origin: str, given: Given) -> None:
    """Set the parameters of the last layers to zero; small images are tried before one of the network's own size."""
    training = network.training
    network.eval()
    try:
        for image in small:
            with suppress(Exception):
                output = _zeroed(network, image, given)
                break
        else:
            output = _zeroed(network, own, given)
    except GantkError:  # of a size that it cannot take: told where sizes are checked
        return
    finally:
        network.train(training)
    if output.any():
        raise PluginError(
            f"the {origin} cannot start at zero, so it cannot change an input",
            why="its output is not 0 when the parameters of its last layers are 0",
            mend="remove `residual` from the translator, choose another generator, or end the network in a layer that "
            "gives 0 for zero weights",
        )


def _zeroed(network: nn.Module, image: Tensor, given: Given) -> Tensor:
    """The output of a network whose last layers were set to zero, the last to run first, until the output is zero."""
    traced = copy.deepcopy(network)  # a network may keep its inputs, which then belong to a graph
    ran: dict[object, str] = {}  # the layers by the operation that ended them
    for name, layer in traced.named_modules():
        if next(layer.parameters(recurse=False), None) is not None:
            layer.register_forward_hook(
                lambda _, given, made, name=name: ran.update({getattr(made, "grad_fn", None): name})
            )
    with torch.enable_grad():
        copied = image.clone().requires_grad_() * 1  # not a leaf: networks may change their input in place
        output = output_of(traced(copied, **given(image)))
    for name in _last(output, ran):
        for parameter in network.get_submodule(name).parameters(recurse=False):
            parameter.zero_()
        output = output_of(network(image, **given(image)))
        if not output.any():
            break
    return output


def _last(output: Tensor, ran: Mapping[object, str]) -> list[str]:
    """The layers from which an output is made without another layer between, the last to run first."""
    found, seen, waiting = set(), set(), [output.grad_fn]
    while waiting:
        operation = waiting.pop()
        if operation in ran:
            found.add(operation)
        elif operation is not None and operation not in seen:
            seen.add(operation)
            waiting += [before for before, _ in operation.next_functions]
    return [layer for operation, layer in reversed([*ran.items()]) if operation in found]
