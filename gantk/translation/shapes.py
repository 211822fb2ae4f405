"""What networks make of a recipe's images, without the work: shapes are run through, on tensors without memory."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gantk.errors import GantkError, PluginError, RecipeError
from gantk.memory import is_shortage
from gantk.plugins.blame import blame
from gantk.recipe.model import Recipe
from gantk.translation.term import Term
from gantk.translation.translator import Translator

__all__ = ["feature_channels"]


def feature_channels(translator: Translator, terms: Iterable[Term], recipe: Recipe) -> dict[int, int]:
    """Run a batch of the recipe's size through the networks, with the features that terms want.

    Returns:
        The channels of the generator's features, by layer.

    Raises:
        RecipeError: the crop does not fit a network, or one has not got the layers that a term wants.
        PluginError: the generator's output has a wrong shape.
    """
    role = translator.role
    terms = list(terms)
    layers = {term.name: term.needs.layers for term in terms if role in (term.role, *term.needs.roles)}
    judged = {term.name: term.needs.judged for term in terms if term.role == role}
    takes, gives = translator.takes.size, translator.gives.size
    output, channels = _pass(translator, "generator", _images(takes, recipe), layers)
    wanted = (min(recipe.data.batch.values()), gives, *recipe.data.crop)
    if not isinstance(output, Tensor) or tuple(output.shape) != wanted:
        got = f"the shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise PluginError(
            f"the {translator.origins['generator']} gave {got} where {wanted} is wanted",
            where=f"translators.{role}.generator",
            mend="let it return (B, out_channels, H, W), as large as the image that it is given",
        )
    if translator.discriminator is not None:
        _pass(translator, "discriminator", _images(gives + takes * translator.conditional, recipe), judged)
    return channels


def _images(channels: int, recipe: Recipe) -> Tensor:
    """The smallest batch of the recipe, without memory."""
    return torch.empty(min(recipe.data.batch.values()), channels, *recipe.data.crop, device="meta")


def _pass(
    translator: Translator, part: str, image: Tensor, wanted: Mapping[str, Sequence[int]]
) -> tuple[Any, dict[int, int]]:
    """What a part makes of images, and the channels of the layers that terms want, these by the term's name."""
    network: nn.Module = getattr(translator, part)
    where = f"translators.{translator.role}.{part}"
    try:
        return _shapes(network, image, {layer for layers in wanted.values() for layer in layers})
    except Exception as error:
        if is_shortage(error):
            raise
        fault = error
    try:
        _shapes(network, image, ())
    except GantkError as error:
        height, width = image.shape[-2:]
        raise RecipeError(
            f"the {part} of {translator.role!r} cannot take images of {height} × {width} pixels",
            where=where,
            why=f"the {translator.origins[part]} says: {_said(error)}",
            mend="make data.crop larger, or the network less deep (levels, layers)",
        ) from error
    except Exception:
        with blame(translator.origins[part], where, "make data.crop larger if that is what lacks, or mend the plugin"):
            raise
    for name, layers in wanted.items():
        try:
            _shapes(network, image, layers)
        except Exception as error:
            raise RecipeError(
                f"the {part} of {translator.role!r} does not offer the layers {list(layers)}",
                where=f"losses.{name}",
                why=f"the {translator.origins[part]} says: {_said(error)}",
                mend="name layers that it has, or choose a network whose layers have numbers",
            ) from error
    raise fault


@torch.no_grad()
def _shapes(network: nn.Module, image: Tensor, layers: Iterable[int]) -> tuple[Any, dict[int, int]]:
    """The output of a network in training, without memory, and its features' channels."""
    arguments = (image, tuple(sorted(layers))) if layers else (image,)
    weightless = {name: tensor.to("meta") for name, tensor in (*network.named_parameters(), *network.named_buffers())}
    try:
        found = functional_call(network, weightless, arguments)
    except GantkError:
        raise
    except Exception:  # a fault, or an operation that needs values: then it runs in earnest
        with torch.random.fork_rng(devices=[]):
            found = copy.deepcopy(network)(torch.full(image.shape, -1.0), *arguments[1:])
    output, features = found if layers else (found, {})
    return output, {layer: features[layer].shape[1] for layer in layers}


def _said(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, GantkError) else f"{type(error).__name__}: {said}"
