"""The networks of a recipe, and the outputs that they take from one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gantk.data.layout import Domain, Layout
from gantk.errors import PluginError, RecipeError, nearest
from gantk.plugins.dimensions import suited
from gantk.plugins.registry import Registry
from gantk.recipe.model import Recipe
from gantk.recipe.translators import OUTPUT, TranslatorSettings
from gantk.translation.residual import Residual
from gantk.translation.seeds import seed_of
from gantk.translation.translator import Translator, multiples, needs_given, takes_given


def build_translators(recipe: Recipe, registry: Registry, layout: Layout) -> dict[str, Translator]:
    """The recipe's translators by role, without the modules and pools that losses add. Raises as `assemble` does."""
    built = {role: _translator(recipe, role, registry, layout) for role in recipe.translators}
    for role, translator in built.items():
        for other in translator.after:
            if hasattr(built[other].generator, "sample"):
                raise RecipeError(
                    f"{other!r} makes its images of noise, in several steps, so {role!r} cannot train on its output",
                    where=f"translators.{role}.takes",
                    mend="take the output of a translator that makes its image in one step",
                )
    return built


def seed(recipe: Recipe, *names: str) -> int:
    """The seed of a part's initial weights, its own by these names."""
    return seed_of(recipe.run.seed, *names)


def _translator(recipe: Recipe, role: str, registry: Registry, layout: Layout) -> Translator:
    settings: TranslatorSettings = recipe.translators[role]
    where = f"translators.{role}"
    takes, shown, after = _taken(recipe, role, layout, f"{where}.takes")
    gives = layout.given(settings.gives, f"{where}.gives")
    conditional = settings.judges == "source and image"
    origins: dict[str, str] = {}
    extra = {name: recipe.data.extra[name] for name in settings.given}
    widths = {name: one.width for name, one in extra.items()}

    def build(kind: str, part: str, use: str, parameters: Mapping[str, Any], **supplied: Any) -> nn.Module:
        torch.manual_seed(seed(recipe, role, part))
        component = suited(registry, kind, use, recipe.data.dimensions, f"{where}.{part}.use")
        origins[part] = component.origin
        return component.build(parameters, f"{where}.{part}", dimensions=recipe.data.dimensions, **supplied)

    generator = build(
        "generator",
        "generator",
        settings.generator.use,
        settings.generator.parameters,
        in_channels=takes.size + sum(after.values()),
        out_channels=gives.size,
        image_size=recipe.data.image_size,
        given=widths,
    )
    if settings.average_of is not None:
        generator.requires_grad_(False)
    discriminator = None
    if settings.discriminator is not None:
        discriminator = build(
            "discriminator",
            "discriminator",
            settings.discriminator.use,
            settings.discriminator.parameters,
            in_channels=gives.size + (takes.size + sum(after.values()) if conditional else 0),
            target_channels=gives.size,
            given=widths,
        )
    augmentation = None
    if settings.shown is not None:
        if discriminator is None:
            raise RecipeError(f"{role!r} has no discriminator that could be shown anything", where=f"{where}.shown")
        augmentation = build("augmentation", "shown", settings.shown.use, settings.shown.parameters)
        if not isinstance(augmentation, nn.Module):
            raise PluginError(
                f"the {origins['shown']} is a {type(augmentation).__name__}",
                where=f"{where}.shown",
                mend="derive it from torch.nn.Module, whose buffers are in checkpoints",
            )
    translator = Translator(
        role, takes, gives, generator, discriminator, conditional, origins, extra, augmentation, after, shown
    )
    _check_given(translator, where)
    if settings.residual is not None:
        if hasattr(generator, "sample"):
            raise RecipeError(
                f"the generator {settings.generator.use!r} makes images of noise, so it cannot change an input",
                where=f"{where}.residual",
                mend="remove residual",
            )
        start = _start(settings.residual, translator, layout, f"{where}.residual")
        translator.generator = Residual(
            generator,
            start * (gives.size // len(start)),
            translator.in_channels,
            recipe.data.image_size,
            origins["generator"],
            translator.blank,
            takes.size or None,
        )
    size, key = recipe.data.image_size, recipe.data.size_key
    wanted = multiples(translator.generator, len(size))
    if any(side % multiple for side, multiple in zip(size, wanted, strict=True)):
        raise RecipeError(
            f"the {key} {list(size)} does not fit the generator {settings.generator.use!r}",
            where=recipe.origins.latest(f"data.{key}", f"{where}.generator"),
            mend=f"make {'height and width' if key == 'crop' else 'all sides'} multiples of "
            + (str(wanted[0]) if len(set(wanted)) == 1 else ", ".join(map(str, wanted))),
        )
    return translator


def _check_given(translator: Translator, where: str) -> None:
    """Check that the networks accept the values given beside images, and get all values that they require."""
    networks = {"generator": translator.generator, "discriminator": translator.discriminator}
    for name in translator.extra:
        if not any(takes_given(network, name) for network in networks.values()):
            raise RecipeError(
                f"no network of {translator.role!r} takes {name!r}",
                where=f"{where}.given",
                why=f"the {translator.origins['generator']} has no keyword argument of this name in its forward",
                mend="choose a generator or discriminator that takes it, or rename the extra to match its argument",
            )
    for part, network in networks.items():
        for name in () if network is None else needs_given(network):
            if name not in translator.extra:
                raise RecipeError(
                    f"the {translator.origins[part]} wants {name!r} beside images",
                    where=f"{where}.{part}",
                    mend=f"declare it in [data.extra.{name}], and set given = [{name!r}] in {where}",
                )


def _taken(recipe: Recipe, role: str, layout: Layout, where: str) -> tuple[Domain, Domain, dict[str, int]]:
    """The images that a translator takes, the images that it uses through other translators' outputs, and the channels
    of these outputs, by role."""
    settings, shown = recipe.translators[role], layout.taken(recipe.shown_to(role), where)
    after = {}
    for other in settings.chained:
        given = recipe.translators[other].gives
        after[other] = layout.given(given, f"translators.{other}.gives").size
    if not after:
        return shown, shown, after
    names = recipe.data.inputs if settings.images is None else settings.images
    channels = tuple(channel for name in names for channel in layout.planes(shown.side, name))
    return Domain(shown.side, channels, len(channels)), shown, after


def _start(modality: str, translator: Translator, layout: Layout, where: str) -> tuple[int, ...]:
    """The input channels of a translator that hold a modality's own slice, or another translator's output.

    Raises:
        RecipeError: the translator does not take it.
    """
    takes, first = translator.takes, translator.takes.size
    for other, size in translator.after.items():
        if modality == f"{other}{OUTPUT}":
            return tuple(range(first, first + (size if size == translator.gives.size else layout.channels)))
        first += size
    taken = takes.channels or tuple(range(takes.size))
    own = layout.image(takes.side, modality) if modality in layout.names(takes.side) else ()
    if modality in layout.categories:
        raise RecipeError(
            f"{modality!r} holds categories, and values between categories have no meaning: it cannot be changed",
            where=where,
            mend="name an input that holds numbers",
        )
    if not own or not set(own) <= set(taken):
        names = [n for n in layout.names(takes.side) if set(layout.image(takes.side, n)) <= set(taken)]
        names += [f"{other}{OUTPUT}" for other in translator.after]
        raise RecipeError(f"the translator does not take {modality!r}", where=where, mend=nearest(modality, names))
    return tuple(taken.index(channel) for channel in own)
