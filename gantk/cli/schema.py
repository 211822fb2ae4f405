"""`gantk schema`: write the JSON Schema of recipes, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import console, write_json


def schema(
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="File to write; default: standard output."),
    ] = None,
) -> None:
    """Write the JSON Schema of recipes, composed from the installed plugins.

    Editors with Taplo, such as VS Code with Even Better TOML, use it for recipes that begin with `#:schema FILE`.
    """
    from gantk.plugins import load_plugins
    from gantk.plugins.schema import recipe_schema

    made = recipe_schema(load_plugins().registry)
    if out is None:
        write_json(made)
        return
    from gantk.scaffold.recipe import write_new

    write_new(out, f"{_json(made)}\n", replace=True)
    console().print(f"{out}: put `#:schema {out.name}` on the first line of recipes beside it", markup=False)


def _json(content: object) -> str:
    import json

    return json.dumps(content, indent=1, ensure_ascii=False)
