"""Recipes: TOML files that say everything which influences a result."""

from gantk.recipe.data import DataSettings
from gantk.recipe.evaluation import EvaluationSettings
from gantk.recipe.load import dump_recipe, load_recipe, located, recipe_from_table
from gantk.recipe.model import (
    LossSettings,
    MapSettings,
    Recipe,
    RunSettings,
    TrackingSettings,
    TrainingSettings,
    TransformSettings,
)
from gantk.recipe.translators import OptimizerSettings, TranslatorSettings
from gantk.recipe.values import Selection

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
