"""`gantk validate`: check a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from gantk.cli.console import write, write_json
from gantk.cli.options import AsJson, RecipeFile, Set
from gantk.errors import GantkError


def validate(
    recipe: RecipeFile,
    set_: Set = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the complete recipe, including parents and defaults.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a recipe completely: keys, types, names, parameters, networks, and one training step of each stage.

    All networks are built, and the steps run on random images. No data is read and no run is made. For sweeps, every
    run is checked.
    """
    import gantk
    from gantk.recipe.overrides import SetOptions

    try:
        checked = gantk.validate(recipe, SetOptions(set_ or ()))
    except GantkError as error:
        if as_json:
            write_json({"recipe": str(recipe), "valid": False, "error": str(error)})
        raise
    if as_json:
        write_json(
            {
                "recipe": str(recipe),
                "valid": True,
                "name": checked.name,
                "resolved": checked.model_dump(mode="json"),
            }
        )
    elif resolved:
        from gantk.recipe import dump_recipe

        typer.echo(dump_recipe(checked), nl=False)
    else:
        write(f"{recipe}: recipe {checked.name!r} is valid")
