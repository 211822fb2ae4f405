"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gantk.cli import completion

__all__ = [
    "AsJson",
    "Device",
    "RecipeFile",
    "Role",
    "RunName",
    "RunNames",
    "RunsFolder",
    "Set",
    "Target",
    "TrackingUri",
    "found_recipe",
]


def found_recipe(ctx: Any, recipe: Path | None) -> Path | None:
    """The recipe's file; if the recipe comes with gantk, its path is printed on standard error."""
    if recipe is None or ctx.resilient_parsing or recipe.is_file():
        return recipe
    from gantk.errors import RecipeError
    from gantk.recipe.shipped import find_recipe, is_shipped

    try:
        found = find_recipe(recipe)
    except RecipeError:  # the command reports the error, as JSON if requested
        return recipe
    if is_shipped(found):
        from gantk.cli.console import console

        console().print(f"recipe {recipe}, which comes with gantk:\n  {found}", soft_wrap=True, markup=False)
    return found


RecipeFile = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE",
        help="Recipe: a TOML file, or the name of a recipe that comes with gantk.",
        callback=found_recipe,
        autocompletion=completion.recipes,
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Folder of a run, or the id (or start of the id) of a run under --runs.",
        autocompletion=completion.runs,
    ),
]
RunNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Folders of runs, or ids (or starts of ids) of runs under --runs.",
        autocompletion=completion.runs,
    ),
]
RunsFolder = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the runs.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override of a recipe key, with a TOML value: --set training.ema=0.999. Repeatable.",
    ),
]
Role = Annotated[
    str | None,
    typer.Option(help="Translator to use; default: the predicting role of the recipe."),
]
Target = Annotated[
    str | None,
    typer.Option(help="Target to synthesize, if the translator has several; default: the first evaluated target."),
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.", autocompletion=completion.devices)]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="MLflow address; default: tracking.uri of the recipe, MLFLOW_TRACKING_URI, or SQLite in the runs folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
