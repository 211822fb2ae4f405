"""From a recipe to networks, terms and maps: everything is built and checked before the first step."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from gantk.data.batch import Batch
from gantk.data.layout import Domain, Layout
from gantk.errors import PluginError, RecipeError, nearest
from gantk.plugins.blame import blame
from gantk.plugins.dimensions import suited
from gantk.plugins.registry import Component, Registry
from gantk.recipe.groups import GroupName
from gantk.recipe.model import BalanceSettings, LossSettings, Recipe
from gantk.recipe.toml import dotted
from gantk.recipe.translators import OUTPUT, OptimizerSettings, TranslatorSettings
from gantk.recipe.values import Selection
from gantk.translation.plan import StagePlan
from gantk.translation.pool import ImagePool
from gantk.translation.protocols import ImageRef, Moment, Needs, Role, Sizes
from gantk.translation.residual import Residual
from gantk.translation.shapes import Channels, feature_channels
from gantk.translation.term import BalanceSlot, MapSlot, OptimizerSlot, Term, TransformSlot, WeightSlot
from gantk.translation.translator import Translator, multiples, needs_given, takes_given


@dataclass(frozen=True)
class Assembly:
    """What a recipe describes, built: translators and what optimizes them by role, and all enabled terms, maps (by
    name) and transforms."""

    layout: Layout
    translators: dict[str, Translator]
    terms: list[Term]
    maps: dict[str, MapSlot]
    transforms: list[TransformSlot]
    optimizers: dict[str, OptimizerSlot]
    balance: BalanceSlot | None = None

    def plan(self, stage: str, roles: tuple[str, ...]) -> StagePlan:
        """What one stage computes."""
        requested = {slot.name: slot for slot in self.transforms if slot.on_request}
        return StagePlan(stage, roles, self.terms, self.maps, self.translators, requested, self.balance)

    def transformed(self, batch: Batch, moment: Moment) -> Batch:
        """A training batch as the transforms make it, each group in its turn."""
        changed = dict(batch)
        for slot in self.transforms:
            for name in changed:
                if slot.active(moment.stage, name):
                    with blame(slot.origin, f"transforms.{slot.name}"):
                        changed[name] = slot.component(changed[name], moment)
        return changed


def assemble(recipe: Recipe, registry: Registry, channels: int = 1) -> Assembly:
    """Build every component that the recipe names, for a dataset whose images have so many channels.

    Each network is initialised from a seed of its own, so that adding one leaves the others as they were.

    Raises:
        RecipeError: a name, parameter or combination is wrong.
        PluginError: a component breaks the contract of its kind.
    """
    layout = Layout.of(recipe.data, channels)
    translators = build_translators(recipe, registry, layout)
    maps, map_references = {}, {}
    for name, map_settings in recipe.maps.items():
        component = suited(registry, "weight_map", map_settings.use, recipe.data.dimensions, f"maps.{name}.use")
        values = component.check(map_settings.parameters, f"maps.{name}")
        references = _references(component, values, f"maps.{name}", recipe)
        built = component.make(values, f"maps.{name}", dimensions=recipe.data.dimensions)
        _check_learns_nothing(built, component.origin, f"maps.{name}")
        if map_settings.enabled:
            stages = None if map_settings.stages is None else frozenset(map_settings.stages)
            maps[name] = MapSlot(name, built, stages, component.origin)
            map_references[name] = references
    terms = []
    for name, settings in recipe.losses.items():
        term = _term(name, settings, recipe, registry, translators, map_references.get(settings.map or "", ()))
        if settings.enabled:
            terms.append(term)
    if not terms:
        raise RecipeError("every loss is switched off: there is nothing to train", where="losses")
    widths = {role: feature_channels(translator, terms, recipe) for role, translator in translators.items()}
    terms = [_with_modules(term, recipe, translators, widths) for term in terms]
    balance = None if recipe.balance is None else _balance(recipe.balance, recipe, registry, translators)
    optimizers = {
        role: optimizer_slot(recipe.translators[role].optimizer, f"translators.{role}.optimizer", registry)
        for role in recipe.learning
    }
    return Assembly(layout, translators, terms, maps, _transforms(recipe, registry), optimizers, balance)


def _balance(
    settings: BalanceSettings, recipe: Recipe, registry: Registry, translators: Mapping[str, Translator]
) -> BalanceSlot:
    """What balances terms, built among the modules that learn with their generator."""
    component = registry.get("balance", settings.use, "balance.use")
    role = recipe.losses[settings.terms[0]].on
    torch.manual_seed(_seed(recipe, role, "balance"))
    built = component.build(settings.parameters, "balance", terms=tuple(settings.terms))
    if not isinstance(built, nn.Module):
        raise PluginError(
            f"the {component.origin} is a {type(built).__name__}",
            where="balance",
            mend="derive it from torch.nn.Module, whose weights and buffers are in checkpoints",
        )
    key = f"balance:{settings.use}".replace(".", "-")
    translators[role].heads[key] = built
    return BalanceSlot(tuple(settings.terms), role, key, component.origin)


def optimizer_slot(settings: OptimizerSettings, where: str, registry: Registry) -> OptimizerSlot:
    """What a recipe says of an optimizer, checked. Raises as `assemble` does."""
    component = registry.get("optimizer", settings.use, f"{where}.use")
    return OptimizerSlot(where, component, component.check(settings.parameters, where), settings)


def build_translators(recipe: Recipe, registry: Registry, layout: Layout) -> dict[str, Translator]:
    """The recipe's translators by role, without the modules and pools that losses add. Raises as `assemble` does."""
    built = {role: _translator(recipe, role, registry, layout) for role in recipe.translators}
    for role, translator in built.items():
        for other in translator.after:
            if hasattr(built[other].generator, "sample"):
                raise RecipeError(
                    f"{other!r} makes its images of noise, in steps, which the training of {role!r} does not wait for",
                    where=f"translators.{role}.takes",
                    mend="take the output of a translator that makes its image at once",
                )
    return built


def _transforms(recipe: Recipe, registry: Registry) -> list[TransformSlot]:
    slots = []
    for name, settings in recipe.transforms.items():
        where = f"transforms.{name}"
        component = suited(registry, "transform", settings.use, recipe.data.dimensions, f"{where}.use")
        built = component.build(settings.parameters, where, dimensions=recipe.data.dimensions)
        if settings.enabled:
            groups = None if settings.groups is None else frozenset(settings.groups)
            stages = None if settings.stages is None else frozenset(settings.stages)
            slots.append(TransformSlot(name, built, groups, stages, component.origin, settings.on_request))
    return slots


def _seed(recipe: Recipe, *names: str) -> int:
    return zlib.crc32(":".join((str(recipe.run.seed), *names)).encode())


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
        torch.manual_seed(_seed(recipe, role, part))
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
                f"the generator {settings.generator.use!r} makes images of noise, and so changes none",
                where=f"{where}.residual",
                mend="leave residual out",
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
    """Whether the networks take what they are given beside images, and are given what they cannot do without."""
    networks = {"generator": translator.generator, "discriminator": translator.discriminator}
    for name in translator.extra:
        if not any(takes_given(network, name) for network in networks.values()):
            raise RecipeError(
                f"no network of {translator.role!r} takes {name!r}",
                where=f"{where}.given",
                why=f"the {translator.origins['generator']} has no keyword argument of this name in its forward",
                mend="choose a generator or discriminator that takes it, or call the extra as that calls it",
            )
    for part, network in networks.items():
        for name in () if network is None else needs_given(network):
            if name not in translator.extra:
                raise RecipeError(
                    f"the {translator.origins[part]} wants {name!r} beside images",
                    where=f"{where}.{part}",
                    mend=f"declare it in [data.extra.{name}], and say given = [{name!r}] in {where}",
                )


def _taken(recipe: Recipe, role: str, layout: Layout, where: str) -> tuple[Domain, Domain, dict[str, int]]:
    """The images that a translator takes, those that its output is made of by way of others, and the channels of these
    others' outputs, by role."""
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
    """The channels of what a translator takes that show a modality's own slice, or another translator's output.

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
            f"{modality!r} holds categories, and what lies between two of them means nothing: it cannot be changed",
            where=where,
            mend="name an input that holds numbers",
        )
    if not own or not set(own) <= set(taken):
        names = [n for n in layout.names(takes.side) if set(layout.image(takes.side, n)) <= set(taken)]
        names += [f"{other}{OUTPUT}" for other in translator.after]
        raise RecipeError(f"the translator does not take {modality!r}", where=where, mend=nearest(modality, names))
    return tuple(taken.index(channel) for channel in own)


def _term(
    name: str,
    settings: LossSettings,
    recipe: Recipe,
    registry: Registry,
    translators: Mapping[str, Translator],
    map_references: tuple[str, ...],
) -> Term:
    where = f"losses.{name}"
    component = suited(registry, "loss", settings.use, recipe.data.dimensions, f"{where}.use")
    values = component.check(settings.parameters, where)
    loss = component.make(values, where, dimensions=recipe.data.dimensions)
    if not callable(loss) and not hasattr(loss, "discriminator"):
        raise PluginError(
            f"the loss {settings.use!r} has no side: it cannot be called and has no discriminator(view)",
            where=f"plugin {component.plugin}",
        )
    _check_learns_nothing(loss, component.origin, where)
    needs: Needs = getattr(loss, "needs", Needs())
    on = settings.on
    if needs.start and not isinstance(translators[on].generator, Residual):
        raise RecipeError(
            f"the loss {settings.use!r} wants the image that the translator {on!r} changes, and it changes none",
            where=f"{where}.on",
            mend=f"say in translators.{on} which image it changes, such as residual = {recipe.data.inputs[0]!r}",
        )
    references = (*_references(component, values, where, recipe), *map_references)
    _check_images(where, settings, references, needs, recipe, translators[settings.on])
    judging = hasattr(loss, "discriminator") and not hasattr(loss, "build_modules")
    if judging and translators[settings.on].discriminator is None:
        raise RecipeError(
            f"the loss {settings.use!r} needs a discriminator, and translators.{settings.on} has none",
            where=f"{where}.on",
        )
    pool = None
    if needs.pool and settings.enabled:
        pool = _pool(name, needs.pool, recipe, translators[settings.on])
    return Term(
        name=name,
        role=settings.on,
        group=settings.group,
        loss=loss,
        weight=_weight(settings.weight, f"{where}.weight", registry),
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


def _check_learns_nothing(component: Any, origin: str, where: str) -> None:
    """A component's own weights would be in no optimizer and in no checkpoint."""
    held = [component, *getattr(component, "__dict__", {}).values()]
    weights = [p for m in held if isinstance(m, nn.Module) for p in m.parameters()]
    if any(p.requires_grad for p in (*weights, *(p for p in held if isinstance(p, nn.Parameter)))):
        raise PluginError(
            f"the {origin} holds weights of its own, which would neither learn nor be saved",
            where=where,
            mend="let a loss build what learns in build_modules(sizes), and freeze the rest by requires_grad_(False)",
        )


def _check_images(
    where: str,
    settings: LossSettings,
    references: tuple[str, ...],
    needs: Needs,
    recipe: Recipe,
    translator: Translator,
) -> None:
    """Whether every batch group that a term reads is there and has the images that the term wants of it."""
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
                f"the loss {settings.use!r}, or its map, wants the {side} of the group {group!r}, which has none",
                where=where,
                mend="place it on another group, or name another image",
            )


def _pool(name: str, size: int, recipe: Recipe, translator: Translator) -> str:
    """The key of a term's image pool."""
    if translator.conditional or any(takes_given(translator.discriminator, one) for one in translator.extra):
        raise RecipeError(
            "an image pool keeps images without their sources, and this discriminator is given more than images",
            where=f"losses.{name}",
            mend='set the pool to 0, or judges = "image" and a discriminator that takes nothing beside',
        )
    key = name.replace(".", "-")
    translator.pools[key] = ImagePool(size, (translator.gives.size, *recipe.data.image_size))
    return key


def _with_modules(
    term: Term, recipe: Recipe, translators: Mapping[str, Translator], widths: Mapping[str, Channels]
) -> Term:
    """The term with modules of its own, where it builds any; those under a shared name it has in common with terms of
    its role that say the same name, look to the same other roles and build the same shapes."""
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
    torch.manual_seed(_seed(recipe, term.role, "heads", key))
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
    """Whether a term's modules can learn."""
    right = isinstance(built, Mapping) and all(isinstance(module, nn.Module) for module in built.values())
    if not right or not set(built) <= {"generator", "discriminator"}:
        raise PluginError(
            f"the {term.origin} does not say which modules learn with which side",
            where=f"losses.{term.name}",
            mend='let build_modules return {"generator": module}, {"discriminator": module}, or both',
        )
    if "discriminator" in built and term.discriminator_loss is None:
        raise PluginError(
            f"the {term.origin} has a module that learns with the discriminator, and gives the discriminator no loss",
            where=f"losses.{term.name}",
            mend='give it discriminator(view), or return the module under "generator"',
        )


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def _references(component: Component, values: Mapping[str, Any], where: str, recipe: Recipe) -> tuple[str, ...]:
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
