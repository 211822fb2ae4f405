"""`gantk new`: a plugin or a recipe to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.pages import Group

app = typer.Typer(cls=Group, rich_markup_mode=None, no_args_is_help=True, help="Begin a plugin or a recipe.")

KINDS = "loss, weight_map, generator, discriminator, transform, scheduler, dataset or metric"


@app.callback()
def new_command() -> None:
    """Begin a plugin or a recipe."""


@app.command("plugin")
def plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the distribution, as my-loss.", show_default=False)],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"What it supplies: {KINDS}.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where its folder is made.")] = Path(),
) -> None:
    """Write a distribution with one component, a recipe that uses it, and a test that passes; change it from there."""
    from gantk.scaffold import new_plugin

    files = new_plugin(name, kind, out)
    folder = out / name
    write(*(str(out / file) for file in files))
    write(f"\nGo on with\n  pip install -e '{folder}[test]'\n  gantk run {folder / 'recipe.toml'}\n  pytest {folder}")


@app.command("recipe")
def recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the recipe and its file.", show_default=False)],
    like: Annotated[
        str,
        typer.Option(metavar="RECIPE", help="One that comes with gantk, or a file.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where it is written.")] = Path(),
    schema: Annotated[
        bool, typer.Option("--schema", help="Write the schema that editors check it with beside it.")
    ] = False,
) -> None:
    """Write NAME.toml, a recipe like another that stands alone."""
    from gantk.scaffold import new_recipe

    if schema:
        from gantk.cli.schema import schema as write_schema
        from gantk.scaffold.recipe import SCHEMA

        write_schema(out / SCHEMA)
    path = new_recipe(name, like, out)
    write(f"{path}\n\nGo on with\n  gantk validate {path}\n  gantk run {path}")
