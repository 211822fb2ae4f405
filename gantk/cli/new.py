"""`gantk new`: write a plugin or a recipe to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.pages import Group

app = typer.Typer(cls=Group, rich_markup_mode=None, no_args_is_help=True)

KINDS = "loss, weight_map, generator, discriminator, transform, scheduler, dataset or metric"


@app.callback()
def new_command() -> None:
    """Create a plugin or a recipe."""


@app.command("plugin")
def plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the distribution, such as my-loss.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"Kind of component: {KINDS}.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder that will contain the distribution.")] = Path(),
) -> None:
    """Write a distribution with one component, a recipe that uses it, and a test that passes."""
    from gantk.scaffold import new_plugin

    files = new_plugin(name, kind, out)
    folder = out / name
    write(*(str(out / file) for file in files))
    write(f"\nNext:\n  pip install -e '{folder}[test]'\n  gantk run {folder / 'recipe.toml'}\n  pytest {folder}")


@app.command("recipe")
def recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the recipe and of its file.")],
    like: Annotated[
        str,
        typer.Option(metavar="RECIPE", help="Recipe to copy: the name of a shipped recipe, or a file."),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write to.")] = Path(),
    schema: Annotated[
        bool, typer.Option("--schema", help="Write the JSON Schema for editors beside the recipe.")
    ] = False,
) -> None:
    """Write NAME.toml, a copy of another recipe that needs no parent."""
    from gantk.scaffold import new_recipe

    if schema:
        from gantk.cli.schema import schema as write_schema
        from gantk.scaffold.recipe import SCHEMA

        write_schema(out / SCHEMA)
    path = new_recipe(name, like, out)
    write(f"{path}\n\nNext:\n  gantk validate {path}\n  gantk run {path}")
