"""What `gantk new` writes: distributions of plugins, and recipes."""

from gantk.scaffold.plugin import new_plugin
from gantk.scaffold.recipe import new_recipe, shipped_recipes

__all__ = ["new_plugin", "new_recipe", "shipped_recipes"]
