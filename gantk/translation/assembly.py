"""From a recipe to networks, terms and maps: everything is built and checked before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from gantk.data.batch import Batch
from gantk.data.layout import Layout
from gantk.errors import PluginError, RecipeError
from gantk.plugins.blame import blame
from gantk.plugins.dimensions import suited
from gantk.plugins.registry import Registry
from gantk.recipe.model import BalanceSettings, Recipe
from gantk.recipe.translators import OptimizerSettings
from gantk.translation.networks import build_translators, seed
from gantk.translation.placing import check_learns_nothing, image_references, place, with_modules
from gantk.translation.plan import StagePlan
from gantk.translation.protocols import Moment
from gantk.translation.seeds import seed_of
from gantk.translation.shapes import feature_channels
from gantk.translation.term import BalanceSlot, MapSlot, OptimizerSlot, Term, TransformSlot
from gantk.translation.translator import Translator


@dataclass(frozen=True)
class Assembly:
    """What a recipe describes, built: translators and their optimizers by role, and all enabled terms, maps (by
    name) and transforms."""

    layout: Layout
    translators: dict[str, Translator]
    terms: list[Term]
    maps: dict[str, MapSlot]
    transforms: list[TransformSlot]
    optimizers: dict[str, OptimizerSlot]
    balance: BalanceSlot | None = None

    def plan(self, stage: str, roles: tuple[str, ...]) -> StagePlan:
        """The plan of one stage."""
        requested = {slot.name: slot for slot in self.transforms if slot.on_request}
        return StagePlan(stage, roles, self.terms, self.maps, self.translators, requested, self.balance)

    def transformed(self, batch: Batch, moment: Moment) -> Batch:
        """A training batch after the transforms, group by group.

        Each transform draws for each group from a sequence of its own, so that its draws do not depend on which other
        groups and transforms there are.
        """
        changed, draw = dict(batch), int(torch.randint(2**62, ()))
        for slot in self.transforms:
            for name in changed:
                if slot.active(moment.stage, name):
                    torch.manual_seed(seed_of(draw, slot.name, name))
                    with blame(slot.origin, f"transforms.{slot.name}"):
                        changed[name] = slot.component(changed[name], moment)
        torch.manual_seed(draw)
        return changed


def assemble(recipe: Recipe, registry: Registry, channels: int = 1) -> Assembly:
    """Build every component that the recipe names, for a dataset whose images have so many channels.

    Each network is initialized from a seed of its own, so that adding one leaves the others as they were. Disabled
    terms and maps are checked, and not built.

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
        references = image_references(component, values, f"maps.{name}", recipe)
        if map_settings.enabled:
            built = component.make(values, f"maps.{name}", dimensions=recipe.data.dimensions)
            check_learns_nothing(built, component.origin, f"maps.{name}")
            stages = None if map_settings.stages is None else frozenset(map_settings.stages)
            maps[name] = MapSlot(name, built, stages, component.origin)
            map_references[name] = references
    terms = []
    for name, settings in recipe.losses.items():
        term = place(name, settings, recipe, registry, translators, map_references.get(settings.map or "", ()))
        if term is not None:
            terms.append(term)
    if not terms:
        raise RecipeError("every loss is disabled: there is nothing to train", where="losses")
    widths = {role: feature_channels(translator, terms, recipe) for role, translator in translators.items()}
    terms = [with_modules(term, recipe, translators, widths) for term in terms]
    balance = None if recipe.balance is None else _balance(recipe.balance, recipe, registry, translators)
    optimizers = {
        role: optimizer_slot(recipe.translators[role].optimizer, f"translators.{role}.optimizer", registry)
        for role in recipe.learning
    }
    return Assembly(layout, translators, terms, maps, _transforms(recipe, registry), optimizers, balance)


def _balance(
    settings: BalanceSettings, recipe: Recipe, registry: Registry, translators: Mapping[str, Translator]
) -> BalanceSlot:
    """The balance of terms, built among the modules that learn with their generator."""
    component = registry.get("balance", settings.use, "balance.use")
    role = recipe.losses[settings.terms[0]].on
    torch.manual_seed(seed(recipe, role, "balance"))
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
    """The checked optimizer of a recipe. Raises as `assemble` does."""
    component = registry.get("optimizer", settings.use, f"{where}.use")
    return OptimizerSlot(where, component, component.check(settings.parameters, where), settings)


def _transforms(recipe: Recipe, registry: Registry) -> list[TransformSlot]:
    slots = []
    for name, settings in recipe.transforms.items():
        where = f"transforms.{name}"
        component = suited(registry, "transform", settings.use, recipe.data.dimensions, f"{where}.use")
        values = component.check(settings.parameters, where)
        if settings.enabled:
            built = component.make(values, where, dimensions=recipe.data.dimensions)
            groups = None if settings.groups is None else frozenset(settings.groups)
            stages = None if settings.stages is None else frozenset(settings.stages)
            slots.append(TransformSlot(name, built, groups, stages, component.origin, settings.on_request))
    return slots
