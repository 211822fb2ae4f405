"""The shapes of networks' outputs, found before images are read; large networks are run on tensors without memory."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gantk.errors import GantkError, RecipeError
from gantk.memory import is_shortage
from gantk.plugins.blame import blame
from gantk.recipe.model import Recipe
from gantk.recipe.values import Update
from gantk.translation.chain import Chain
from gantk.translation.protocols import Translation
from gantk.translation.term import Term
from gantk.translation.translator import Translator

__all__ = ["Channels", "feature_channels", "fitting_multiple", "fitting_size"]

Channels = tuple[dict[int, int], dict[int, int]]
"""Of a generator's and of a discriminator's features, by layer."""

#: Channels found before, by the settings that decide them, because a sweep's runs have many equal networks.
_FOUND: dict[Hashable, Channels] = {}


def feature_channels(translator: Translator, terms: Iterable[Term], recipe: Recipe) -> Channels:
    """Run a batch of the recipe's size through the networks, with the features that terms want.

    Returns:
        The channels of the generator's features, and of the discriminator's, by layer.

    Raises:
        RecipeError: the crop does not fit a network, or a network lacks layers that a term needs.
        PluginError: the generator's output has a wrong shape.
    """
    role = translator.role
    terms = list(terms)
    layers = {term.name: term.needs.layers for term in terms if role in (term.role, *term.needs.roles)}
    judged = {term.name: term.needs.judged for term in terms if term.role == role}
    key = _decisive(translator, recipe, layers, judged)
    if key not in _FOUND:
        _FOUND[key] = _run_through(translator, recipe, layers, judged)
    return _FOUND[key]


def fitting_size(chain: Chain, size: tuple[int, ...], trained: tuple[int, ...]) -> tuple[int, ...] | None:
    """The smallest sides, at least `size`, that generators take; found by running them without memory.

    Args:
        chain: the generators.
        size: (H, W), or (D, H, W).
        trained: the size that it takes for certain.

    Returns:
        Multiples of one power of two times the generator's `size_multiple`; None where it takes no such size.
    """
    multiple = chain.size_multiple
    sizes = [_rounded_up(size, multiple * 2**power) for power in range(9)]
    if sizes[0] == trained or not _takes(chain, trained):  # it cannot be asked: an operation needs values
        return sizes[0]
    return next((fitting for fitting in sizes if _takes(chain, fitting)), None)


def fitting_multiple(chain: Chain, trained: tuple[int, ...]) -> int | None:
    """The number of which all sides must be multiples for the generators; None if only `trained` fits.

    Rounding a size up to it gives the size that `fitting_size` finds.

    Args:
        chain: the generators.
        trained: (H, W), or (D, H, W), that it takes for certain.
    """
    if not _takes(chain, trained):  # it cannot be asked
        return chain.size_multiple
    for power in range(9):
        step = chain.size_multiple * 2**power
        least = _rounded_up(trained, step)
        if _takes(chain, least) and _takes(chain, tuple(side + step for side in least)):
            return step
    return None


def _rounded_up(size: tuple[int, ...], multiple: int) -> tuple[int, ...]:
    return tuple(-(-n // multiple) * multiple for n in size)


def _takes(chain: Chain, size: tuple[int, ...]) -> bool:
    """Whether generators in evaluation mode return an image as large as their input."""
    image = torch.empty(1, chain.takes.size, *size, device="meta")
    training = chain.training
    chain.eval()
    try:
        with torch.no_grad():
            run = _in_earnest if _is_small(chain, image) else _weightless
            output = run(chain, image, chain.blank(image))
    except Exception as error:
        if is_shortage(error):
            raise
        return False
    finally:
        chain.train(training)
    output = Translation.of(output).output
    return isinstance(output, Tensor) and tuple(output.shape) == (1, chain.gives.size, *size)


def _decisive(translator: Translator, recipe: Recipe, *wanted: Mapping[str, Sequence[int]]) -> Hashable:
    """The key of networks' shapes: how they are built, from which code, and their inputs."""
    settings = recipe.translators[translator.role].model_dump_json(exclude={"optimizer"})
    sizes = (translator.in_channels, translator.gives.size, min(recipe.data.batch.values()), *recipe.data.image_size)
    asked = tuple(tuple(sorted({layer for layers in by_term.values() for layer in layers})) for by_term in wanted)
    given = tuple((name, extra.per, extra.width) for name, extra in translator.extra.items())
    return settings, tuple(map(type, translator.modules())), sizes, asked, given


def _run_through(
    translator: Translator, recipe: Recipe, layers: Mapping[str, Sequence[int]], judged: Mapping[str, Sequence[int]]
) -> Channels:
    """The channels of both networks' features; `layers` and `judged`: the layers that terms need, by term."""
    takes, gives = translator.in_channels, translator.gives.size
    output, channels = _pass(translator, "generator", recipe, takes, layers)
    translator.check_output(output, min(recipe.data.batch.values()), recipe.data.image_size)
    if translator.discriminator is None:
        return channels, {}
    return channels, _pass(translator, "discriminator", recipe, gives + takes * translator.conditional, judged)[1]


def _pass(
    translator: Translator, part: Update, recipe: Recipe, channels: int, wanted: Mapping[str, Sequence[int]]
) -> tuple[Any, dict[int, int]]:
    """A part's output for the recipe's smallest batch, and the channels of the layers that terms need, by the term's
    name."""
    network: nn.Module = getattr(translator, part)
    image = torch.empty(min(recipe.data.batch.values()), channels, *recipe.data.image_size, device="meta")
    given = translator.blank(image, part)
    where, key = f"translators.{translator.role}.{part}", f"data.{recipe.data.size_key}"
    try:
        return _shapes(network, image, given, {layer for layers in wanted.values() for layer in layers})
    except Exception as error:
        if is_shortage(error):
            raise
        fault = error
    try:
        _shapes(network, image, given, ())
    except GantkError as error:
        size = " × ".join(map(str, image.shape[2:]))
        raise RecipeError(
            f"the {part} of {translator.role!r} cannot take images of {size} pixels",
            where=recipe.origins.latest(where, key),
            why=f"the {translator.origins[part]} says: {_said(error)}",
            mend=f"make {key} larger, or the network less deep (levels, layers)",
        ) from error
    except Exception:
        with blame(translator.origins[part], where, f"make {key} larger if that is what lacks, or mend the plugin"):
            raise
    for name, layers in wanted.items():
        try:
            _shapes(network, image, given, layers)
        except Exception as error:
            raise RecipeError(
                f"the {part} of {translator.role!r} does not offer the layers {list(layers)}",
                where=f"losses.{name}",
                why=f"the {translator.origins[part]} says: {_said(error)}",
                mend="name layers that it has, or choose a network whose layers have numbers",
            ) from error
    raise fault


@torch.no_grad()
def _shapes(
    network: nn.Module, image: Tensor, given: Mapping[str, Tensor], layers: Iterable[int]
) -> tuple[Any, dict[int, int]]:
    """The output of a network in training and its features' channels."""
    arguments = (tuple(sorted(layers)),) if layers else ()
    if _is_small(network, image):
        found = _in_earnest(network, image, given, *arguments)
    else:
        try:
            found = _weightless(network, image, given, *arguments)
        except GantkError:
            raise
        except Exception:  # a fault, or an operation that needs values
            found = _in_earnest(network, image, given, *arguments)
    output, features = found if layers or isinstance(found, Translation) else (found, {})
    return output, {layer: features[layer].shape[1] for layer in layers}


def _is_small(network: nn.Module, image: Tensor) -> bool:
    """Whether a pass takes less time than torch takes to load what it runs tensors without memory with (seconds)."""
    pixels = image.numel() // image.shape[1]
    return pixels <= 2**16 and sum(p.numel() for p in network.parameters()) <= 2**23


def _weightless(network: nn.Module, image: Tensor, given: Mapping[str, Tensor], *arguments: Any) -> Any:
    """A network's output for an image without memory."""
    tensors = {n: tensor.to("meta") for n, tensor in (*network.named_parameters(), *network.named_buffers())}
    return functional_call(network, tensors, (image, *arguments), dict(given))


def _in_earnest(network: nn.Module, image: Tensor, given: Mapping[str, Tensor], *arguments: Any) -> Any:
    """A network's output for an image of background; the network and torch's random numbers stay as they are."""
    nothing = {name: torch.zeros(values.shape) for name, values in given.items()}
    with torch.random.fork_rng(devices=[]):
        return copy.deepcopy(network).cpu()(torch.full(image.shape, -1.0), *arguments, **nothing)


def _said(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, GantkError) else f"{type(error).__name__}: {said}"
