"""Recipes: TOML files that say everything which influences a result."""

from gantk.recipe.load import dump_recipe, load_recipe, located, recipe_from_table
from gantk.recipe.model import (
    DataSettings,
    EvaluationSettings,
    LossSettings,
    MapSettings,
    OptimizerSettings,
    Recipe,
    RunSettings,
    Selection,
    TrackingSettings,
    TrainingSettings,
    TransformSettings,
    TranslatorSettings,
)

__all__ = [
    "DataSettings",
    "EvaluationSettings",
    "LossSettings",
    "MapSettings",
    "OptimizerSettings",
    "Recipe",
    "RunSettings",
    "Selection",
    "TrackingSettings",
    "TrainingSettings",
    "TransformSettings",
    "TranslatorSettings",
    "dump_recipe",
    "load_recipe",
    "located",
    "recipe_from_table",
]
