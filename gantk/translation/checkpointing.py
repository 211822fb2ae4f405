"""Checkpointed activations: intermediate results of a generator are recomputed in the backward pass.

A generator is divided into segments, of which the inputs alone are kept (Chen et al., "Training deep nets with
sublinear memory cost", 2016). Values, gradients, random numbers and buffers are those of a run without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

__all__ = ["checkpoint", "checkpointed", "divide"]

T = TypeVar("T")

#: Of a network's layers, at most this share is one segment, where it can be divided.
SHARE = 0.25


class _Switch:
    """Whether only the inputs of segments are kept, in this process."""

    on = False


@contextmanager
def checkpointed(on: bool = True) -> Iterator[None]:
    """A context in which segments are computed again in the backward pass, or are not."""
    before, _Switch.on = _Switch.on, on
    try:
        yield
    finally:
        _Switch.on = before


def checkpoint(run: Callable[..., T], *arguments: Any, of: Iterable[nn.Module] = (), **named: Any) -> T:
    """`run(*arguments, **named)`, in a run with `training.checkpoint_activations` a segment that is computed again.

    Without the setting, without gradient, and within another segment it is called as it is.

    Args:
        run: computes tensors; must give the same when called again.
        arguments: tensors, and what else it takes.
        of: the modules that it runs, whose buffers it may change, as batch norms do.
        named: further arguments.
    """
    if not _Switch.on or not torch.is_grad_enabled():
        return run(*arguments, **named)
    buffers = [buffer for module in of for buffer in module.buffers()]
    made: T = recomputed(
        partial(_alone, run), *arguments, use_reentrant=False, context_fn=partial(_contexts, buffers), **named
    )
    return made


def divide(network: nn.Module) -> None:
    """Make segments of a network's blocks: of those modules within it that hold several layers and not most of them.

    The network stays the same module with the same names; between the blocks, `checkpoint` marks further segments.
    """
    for block in _blocks(network, SHARE * _layers(network)):
        if "forward" not in vars(block):
            block.forward = _Segment(block)


class _Segment:
    """The forward of a module, as a segment; follows its module into copies."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        run = partial(type(self.module).forward, self.module)
        return checkpoint(run, *arguments, of=(self.module,), **named)


def _blocks(network: nn.Module, most: float) -> Iterator[nn.Module]:
    for child in network.children():
        count = _layers(child)
        holds_blocks = isinstance(child, nn.Sequential) and any(_layers(layer) > 1 for layer in child)
        if isinstance(child, nn.ModuleList | nn.ModuleDict) or holds_blocks or count > most:
            yield from _blocks(child, most)
        elif count > 1:
            yield child


def _layers(module: nn.Module) -> int:
    """The modules within that hold no others."""
    return sum(next(one.children(), None) is None for one in module.modules())


def _alone(run: Callable[..., T], *arguments: Any, **named: Any) -> T:
    with checkpointed(False):
        return run(*arguments, **named)


def _contexts(buffers: list[Tensor]) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """For the first pass and for those in which it is computed again."""
    return nullcontext(), _AsBefore(buffers) if buffers else nullcontext()


class _AsBefore:
    """A context in which buffers are as they were when it was made; after it as they were before it."""

    def __init__(self, buffers: list[Tensor]) -> None:
        self.buffers = buffers
        self.then = [buffer.detach().clone() for buffer in buffers]
        self.now: list[Tensor] = []

    def __enter__(self) -> None:
        self.now = [buffer.detach().clone() for buffer in self.buffers]
        self._set(self.then)

    def __exit__(self, *raised: object) -> None:
        self._set(self.now)
        self.now = []

    def _set(self, values: list[Tensor]) -> None:
        for buffer, value in zip(self.buffers, values, strict=True):
            buffer.data.copy_(value)  # what autograd has noted of the buffer stays
