"""`gantk recipes`: the recipes that come with gantk."""

from __future__ import annotations

from gantk.cli.console import table, write, write_json
from gantk.cli.options import AsJson

__all__ = ["recipes"]


def recipes(as_json: AsJson = False) -> None:
    """List the recipes that come with gantk; `gantk run NAME` runs one, `gantk new recipe` copies one to change."""
    from gantk.recipe.load import chain
    from gantk.recipe.shipped import shipped_recipes

    rows = [
        (name, next((str(file.table["description"]) for file in chain(path) if "description" in file.table), ""))
        for name, path in shipped_recipes().items()
    ]
    if as_json:
        write_json([{"name": name, "description": said} for name, said in rows])
    else:
        write(table(("recipe", "what it trains"), rows))
