"""Losses at their places in a recipe: the roles that they train, their data, and their own modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gantk.errors import PluginError, RecipeError, nearest
from gantk.plugins.blame import blame
from gantk.plugins.component import Component
from gantk.plugins.dimensions import suited
from gantk.plugins.registry import Registry
from gantk.recipe.groups import GroupName
from gantk.recipe.model import LossSettings, Recipe
from gantk.recipe.toml import dotted
from gantk.recipe.values import Selection
from gantk.translation.networks import seed
from gantk.translation.pool import ImagePool
from gantk.translation.protocols import ImageRef, Needs, Role, Sizes
from gantk.translation.residual import Residual
from gantk.translation.shapes import Channels
from gantk.translation.term import Term, WeightSlot
from gantk.translation.translator import Translator, takes_given


def place(
    name: str,
    settings: LossSettings,
    recipe: Recipe,
    registry: Registry,
    translators: Mapping[str, Translator],
    map_references: tuple[str, ...],
) -> Term | None:
    """A loss at its place; None if it is disabled, in which case it is only checked. Raises as `assemble` does."""
    where = f"losses.{name}"
    component = suited(registry, "loss", settings.use, recipe.data.dimensions, f"{where}.use")
    values = component.check(settings.parameters, where)
    references = (*image_references(component, values, where, recipe), *map_references)
    weight = _weight(settings.weight, f"{where}.weight", registry)
    if not settings.enabled:
        return None
    loss = component.make(values, where, dimensions=recipe.data.dimensions)
    if not callable(loss) and not hasattr(loss, "discriminator"):
        raise PluginError(
            f"the loss {settings.use!r} has no side: it cannot be called and has no discriminator(view)",
            where=f"plugin {component.plugin}",
        )
    check_learns_nothing(loss, component.origin, where)
    needs: Needs = getattr(loss, "needs", Needs())
    on = settings.on
    if needs.start and not isinstance(translators[on].generator, Residual):
        raise RecipeError(
            f"the loss {settings.use!r} needs the image that the translator {on!r} changes, but {on!r} changes none",
            where=f"{where}.on",
            mend=f"set the image in translators.{on}, such as residual = {recipe.data.inputs[0]!r}",
        )
    if needs.output:
        for role in needs.roles:
            _check_same(where, settings, role, translators)
    _check_images(where, settings, references, needs, recipe, translators[settings.on])
    judging = hasattr(loss, "discriminator") and not hasattr(loss, "build_modules")
    if judging and translators[settings.on].discriminator is None:
        raise RecipeError(
            f"the loss {settings.use!r} needs a discriminator, but translators.{settings.on} has none",
            where=f"{where}.on",
        )
    pool = None
    if needs.pool:
        pool = _pool(name, needs.pool, recipe, translators[settings.on])
    return Term(
        name=name,
        role=settings.on,
        group=settings.group,
        loss=loss,
        weight=weight,
        map=settings.map,
        stages=None if settings.stages is None else frozenset(settings.stages),
        needs=needs,
        references=references,
        pool=pool,
        origin=component.origin,
    )


def _weight(said: float | Selection, where: str, registry: Registry) -> float | WeightSlot:
    """A term's weight: a number, or a schedule of it."""
    if not isinstance(said, Selection):
        return said
    component = registry.get("weight_schedule", said.use, f"{where}.use")
    return WeightSlot(where, component.build(said.parameters, where), component.origin)


def check_learns_nothing(component: Any, origin: str, where: str) -> None:
    """Refuse components with weights of their own, which would be in no optimizer and in no checkpoint."""
    held = [component, *getattr(component, "__dict__", {}).values()]
    weights = [p for m in held if isinstance(m, nn.Module) for p in m.parameters()]
    if any(p.requires_grad for p in (*weights, *(p for p in held if isinstance(p, nn.Parameter)))):
        raise PluginError(
            f"the {origin} holds weights of its own, which would be neither trained nor saved",
            where=where,
            mend="build trained modules in a loss's build_modules(sizes), and freeze others by requires_grad_(False)",
        )


def _check_same(where: str, settings: LossSettings, role: str, translators: Mapping[str, Translator]) -> None:
    """Check that a translator that a term compares with its own gives the same images."""
    if translators[role].gives != translators[settings.on].gives:
        raise RecipeError(
            f"the loss {settings.use!r} compares outputs of {settings.on!r} and {role!r}, which give different images",
            where=where,
            mend=f"name a translator with the same {dotted(('translators', settings.on, 'gives'))}",
        )


def _check_images(
    where: str,
    settings: LossSettings,
    references: tuple[str, ...],
    needs: Needs,
    recipe: Recipe,
    translator: Translator,
) -> None:
    """Check that every batch group that a term reads exists and has the images that the term needs."""
    wanted = [(settings.group, translator.takes.side)]
    if needs.target:
        wanted.append((settings.group, translator.gives.side))
    for reference in references:
        owner, _, what = reference.rpartition(".")
        if what == "output":
            continue
        own = translator.takes.side if what == "source" else translator.gives.side
        wanted.append((owner, what) if owner else (settings.group, own))  # type: ignore[arg-type]
    for group, side in wanted:
        if group not in recipe.data.batch:
            raise RecipeError(
                f"there is no batch group {group!r}",
                where=where,
                mend=f"add {dotted(('data', 'batch', group))} = SLICES to the recipe",
            )
        name = GroupName.parse(group)
        if not (name.has_source if side == "source" else name.has_target):
            raise RecipeError(
                f"the loss {settings.use!r}, or its map, needs the {side} of the group {group!r}, which has none",
                where=where,
                mend="place it on another group, or name another image",
            )


def _pool(name: str, size: int, recipe: Recipe, translator: Translator) -> str:
    """The key of a term's image pool."""
    if translator.conditional or any(takes_given(translator.discriminator, one) for one in translator.extra):
        raise RecipeError(
            "an image pool keeps images without their sources, but this discriminator takes more than the image",
            where=f"losses.{name}",
            mend='set the pool to 0, or set judges = "image" with a discriminator that takes only images',
        )
    key = name.replace(".", "-")
    translator.pools[key] = ImagePool(size, (translator.gives.size, *recipe.data.image_size))
    return key


def with_modules(
    term: Term, recipe: Recipe, translators: Mapping[str, Translator], widths: Mapping[str, Channels]
) -> Term:
    """The term with its own modules, if it builds any; modules with a shared name are shared with terms of the
    same role that use the same name and the same other roles and build modules of the same shapes."""
    if not hasattr(term.loss, "build_modules"):
        return term
    translator, (features, judged) = translators[term.role], widths[term.role]
    sizes = Sizes(
        translator.takes.size,
        translator.gives.size,
        recipe.data.image_size,
        {layer: features[layer] for layer in term.needs.layers},
        {layer: judged[layer] for layer in term.needs.judged},
        {role: {layer: widths[role][0][layer] for layer in term.needs.layers} for role in term.needs.roles},
    )
    shared = getattr(term.loss, "shared", None)
    own = f"{recipe.losses[term.name].use}:{term.name}".replace(".", "-")
    key = own if shared is None else "-".join([shared, *term.needs.roles])
    torch.manual_seed(seed(recipe, term.role, "heads", key))
    with blame(term.origin, f"losses.{term.name}"):
        built = term.loss.build_modules(sizes)
    _check_modules(term, built)
    there = [translator.modules_of(side)[key] for side in built if key in translator.modules_of(side)]
    if there and list(map(_shapes, there)) != list(map(_shapes, built.values())):
        key = f"{key}:{term.name.replace('.', '-')}"
    for side, module in built.items():
        if key not in translator.modules_of(side):
            translator.modules_of(side)[key] = module
    return replace(term, head=key)


def _check_modules(term: Term, built: Any) -> None:
    """Check that a term's modules can learn."""
    right = isinstance(built, Mapping) and all(isinstance(module, nn.Module) for module in built.values())
    if not right or not set(built) <= {"generator", "discriminator"}:
        raise PluginError(
            f"the {term.origin} does not say which modules learn with which side",
            where=f"losses.{term.name}",
            mend='return {"generator": module}, {"discriminator": module}, or both from build_modules',
        )
    if "discriminator" in built and term.discriminator_loss is None:
        raise PluginError(
            f"the {term.origin} has a module that learns with the discriminator, but no loss for the discriminator",
            where=f"losses.{term.name}",
            mend='define discriminator(view), or return the module under "generator"',
        )


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def image_references(component: Component, values: Mapping[str, Any], where: str, recipe: Recipe) -> tuple[str, ...]:
    """The images that a component's parameters name, with the roles they name checked."""
    check_roles(component, values, where, recipe)
    found = []
    for parameter, kind, name in component.named(values):
        if kind is ImageRef:
            owner, _, what = name.rpartition(".")
            if what not in ("source", "target", "output") or (what == "output" and owner not in recipe.translators):
                raise RecipeError(
                    f"{name!r} names no image",
                    where=f"{where}.{parameter}",
                    mend="write target, GROUP.target, GROUP.source or ROLE.output",
                )
            found.append(name)
    return tuple(found)


def check_roles(component: Component, values: Mapping[str, Any], where: str, recipe: Recipe) -> None:
    """Check that every translator exists that a component's parameters name.

    Raises:
        RecipeError: there is none of that name.
    """
    for parameter, kind, name in component.named(values):
        if kind is Role and name not in recipe.translators:
            raise RecipeError(
                f"there is no translator {name!r}",
                where=f"{where}.{parameter}",
                mend=nearest(name, recipe.translators),
            )
