"""Shipped recipes with narrow networks on small images, and batches for them."""

from __future__ import annotations

import tomllib

from gantk.data.batch import Group
from gantk.data.extra import blank
from gantk.recipe import Recipe, dump_recipe, recipe_from_table
from gantk.testing import make_group
from gantk.translation import Assembly, StagePlan

BATCH = 2


def small(recipe: Recipe) -> Recipe:
    """The recipe on small images, with narrow networks."""
    table = tomllib.loads(dump_recipe(recipe))
    table["data"]["crop"] = [32, 32]
    if recipe.data.dimensions == 3:
        table["data"]["patch"] = [32, 32, 32]
    for settings in table["translators"].values():
        for part in ("generator", "discriminator"):
            if part in settings:
                settings[part].get("of", settings[part])["channels"] = 4
        if settings["generator"]["use"] == "resvit":
            settings["generator"] |= {"hidden": 8, "depth": 1, "heads": 2}
        if settings["generator"]["use"] in ("timm", "ds3_unet"):
            table["data"]["crop"] = [64, 64]
    return recipe_from_table(table)


def batch(recipe: Recipe, assembly: Assembly, plan: StagePlan, size: int = BATCH) -> dict[str, Group]:
    """Random slices for the groups that a stage reads."""
    groups = {}
    for number, name in enumerate(plan.groups):
        inputs = 0 if name == "target" else assembly.layout.size("source")
        targets = 0 if name in ("source", "unpaired") else assembly.layout.size("target")
        group = make_group(size, inputs, targets, recipe.data.image_size, seed=number)
        if recipe.data.inputs == list(assembly.layout.targets):  # any to any: the last one is to be made
            group.source = group.target.clone()
            group.source[:, -1] = -1
        group.extra = {
            name: blank(settings, size, recipe.data.image_size) for name, settings in recipe.data.extra.items()
        }
        groups[name] = group
    return groups
