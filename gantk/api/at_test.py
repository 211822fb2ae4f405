"""Generators at test time: in evaluation mode, without gradient, in windows if images are large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from gantk.api.windows import Windows, packed
from gantk.data.batch import Group
from gantk.recipe import Recipe
from gantk.translation import Chain
from gantk.translation.protocols import output_of

__all__ = ["as_tested", "at_rest", "draws", "through"]


@contextmanager
def at_rest(modules: Sequence[nn.Module]) -> Iterator[None]:
    """A context with modules in evaluation mode, without gradient; restores their mode afterwards."""
    modes = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.train(mode)


@contextmanager
def as_tested(chain: Chain, recipe: Recipe, sample: int = 0) -> Iterator[None]:
    """A context with generators as the recipe tests them, without gradient; restores them and torch's random state.

    Dropout that is kept at test time, and a generator that samples, draw from the recipe's seed, so that equal images
    give equal results; `sample` numbers further draws.
    """
    kept = [network for role, network in chain.networks.items() if recipe.translators[role].at_test == "train"]
    buffers = [(buffer, buffer.clone()) for network in kept for buffer in network.buffers()]
    seeding = torch.random.fork_rng() if draws(chain, recipe) else nullcontext()
    with at_rest(list(chain.networks.values())), seeding:
        if draws(chain, recipe):
            torch.manual_seed(recipe.run.seed + sample)
        for network in kept:
            network.train()
        yield
        for buffer, before in buffers:
            buffer.copy_(before)


def draws(chain: Chain, recipe: Recipe) -> bool:
    """Whether the generators' outputs at test time are random."""
    return chain.draws or any(recipe.translators[role].at_test == "train" for role in chain.networks)


def through(
    chain: Chain, image: Tensor, extra: Mapping[str, Tensor], device: torch.device, windows: Windows | None
) -> Tensor:
    """The output (B, T, *spatial) of generators on a device, of images and the group's values beside images."""
    if windows is None:
        beside = chain.given({name: values.to(device) for name, values in extra.items()})
        return output_of(chain(image.to(device), **beside)).float()
    whole, unpacked = packed(Group(image, None, None, ("",) * len(image), (0,) * len(image), extra=dict(extra)))

    def network(window: Tensor) -> Tensor:
        part = unpacked(window)
        assert part.source is not None
        return output_of(chain(part.source, **chain.given(part.extra))).float()

    return windows(network, whole)
