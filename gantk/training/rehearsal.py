"""A trial step of every stage, so that errors of terms appear before anything is read or written."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from math import lcm
from types import MappingProxyType
from typing import Any, TypeVar

import torch

from gantk.data.batch import Group
from gantk.data.extra import blank
from gantk.data.layout import Layout
from gantk.data.made import make_group, make_image, sizes_to_try
from gantk.memory import enough_memory
from gantk.plugins.blame import blame
from gantk.recipe.data import ExtraSettings
from gantk.recipe.groups import GroupName
from gantk.recipe.model import Recipe
from gantk.training.optimizers import Optimizers
from gantk.training.scheduler import Stage
from gantk.training.update import Updater
from gantk.translation import Assembly, Moment, Term
from gantk.translation.term import MapSlot, TransformSlot
from gantk.translation.translator import multiples

__all__ = ["copy_of", "group_of", "rehearse"]

#: Slices of a group: with only one, networks that normalize over the batch would fail, although they will not in
#: training.
SLICES = 2

Slot = TypeVar("Slot", Term, MapSlot, TransformSlot)


def rehearse(recipe: Recipe, assembly: Assembly, stages: Iterable[Stage]) -> None:
    """Compute all transforms and terms of every stage once, on random images, on the CPU. The images are small if all
    parts accept small ones, otherwise of the recipe's size. Networks and components are copies, and
    torch's random numbers stay as they are: a run is the same with and without it.

    Raises:
        GantkError: any error of the stage's first step, except those that depend on the images' values.
        PluginError: a component cannot be copied.
        MemoryShortage: memory does not suffice.
    """
    stages, key = list(stages), f"data.{recipe.data.size_key}"
    size = recipe.data.image_size
    each = [multiples(translator.generator, len(size)) for translator in assembly.translators.values()]
    *small, own = sizes_to_try(size, [lcm(*axis) for axis in zip(*each, strict=True)])
    with torch.random.fork_rng(devices=[]), enough_memory("for a step", f"{key} or the networks' channels"):
        for size in small:
            with suppress(Exception):  # a part may take images of the recipe's size alone
                return _steps(recipe, copy_of(assembly), stages, size)
        _steps(recipe, copy_of(assembly), stages, own)


def copy_of(assembly: Assembly) -> Assembly:
    """Copies of networks and components, which may change without effect on the run; shared parts stay shared among the
    copies."""
    memo: dict[int, Any] = {}

    def copied(kind: str, slots: Iterable[Slot]) -> list[Slot]:
        copies = []
        for slot in slots:
            with blame(slot.origin, f"{kind}.{slot.name}", "let copy.deepcopy copy the component"):
                copies.append(copy.deepcopy(slot, memo))
        return copies

    return replace(
        assembly,
        translators=copy.deepcopy(assembly.translators, memo),
        terms=copied("losses", assembly.terms),
        maps={slot.name: slot for slot in copied("maps", assembly.maps.values())},
        transforms=copied("transforms", assembly.transforms),
    )


def _steps(recipe: Recipe, assembly: Assembly, stages: Iterable[Stage], size: Sequence[int]) -> None:
    translators = assembly.translators
    for stage in stages:
        for role, translator in translators.items():
            translator.train(role in stage.roles)
        plan = assembly.plan(stage.name, stage.roles)
        slices = {name: min(recipe.data.batch[name], SLICES) for name in plan.groups}
        groups = {
            name: group_of(name, count, assembly.layout, size, recipe.data.extra) for name, count in slices.items()
        }
        moment = Moment(stage.name, 0, stage.epochs, 0)
        optimizers = {
            role: Optimizers(translators[role], assembly.optimizers[role], stage.name) for role in stage.roles
        }
        updater = Updater(translators, optimizers, plan, recipe.training, nullcontext)
        updater.rehearse(assembly.transformed(groups, moment), moment)


def group_of(
    name: str,
    slices: int,
    layout: Layout,
    size: Sequence[int],
    extra: Mapping[str, ExtraSettings] = MappingProxyType({}),
) -> Group:
    """Slices of a batch group; a modality that is both input and target is the same in both."""
    base, channels = GroupName.parse(name), layout.channels
    planes = {
        modality: make_image(slices, layout.depth("source") * channels, size, seed=seed)
        for seed, modality in enumerate(dict.fromkeys((*layout.inputs, *layout.targets)))
    }
    first = layout.depth("source") // 2 * channels
    source = torch.cat([planes[modality] for modality in layout.inputs], dim=1)
    target = torch.cat([planes[modality][:, first : first + channels] for modality in layout.targets], dim=1)
    return replace(
        make_group(slices, 0, 0, size),
        source=source if base.has_source else None,
        target=target if base.has_target else None,
        own=layout.own,
        extra={name: blank(settings, slices, size) for name, settings in extra.items()},
    )
