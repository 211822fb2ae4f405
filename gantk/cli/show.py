"""`gantk show`: show all details of one component."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gantk.cli import completion
from gantk.cli.console import console, table, write, write_json
from gantk.cli.listing import say_failures
from gantk.cli.options import AsJson


def show(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="Kind of component, such as loss.", autocompletion=completion.kinds),
    ],
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Name of the component, as in `gantk list`.",
            autocompletion=completion.components,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show one component: what it computes, its source, parameters, requirements and plugin."""
    from gantk.plugins import load_plugins
    from gantk.plugins.describe import describe

    session = load_plugins(strict=False)
    say_failures(session)
    component = session.registry.get(kind, name)
    said = describe(component)
    if as_json:
        write_json(said)
    else:
        _show(said)


def _show(said: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from gantk.plugins.dimensions import NOUNS
    from gantk.plugins.words import value_words

    kind = said["kind"].replace("_", " ")
    where = f"plugin {said['plugin']}, distribution {said['distribution']} {said['version']}".rstrip()
    write(Text.assemble((f"{kind} {said['name']}", "bold"), f" · {where}\n"))
    for paragraph in filter(None, (said["summary"], *said["description"].split("\n\n"))):
        _paragraph(paragraph)
    told = said["dimensions"] != list(NOUNS) or "dimensions" in said["supplied"]
    facts = {
        "source": "; ".join(said["sources"]),
        "needs": "; ".join(said["needs"]),
        "formerly": ", ".join(said["formerly"]),
        "set by gantk": ", ".join(said["supplied"]),
        "works on": " and ".join(NOUNS[number] for number in said["dimensions"]) if told else "",
    }
    grid = Table.grid(padding=(0, 2))
    for title, text in facts.items():
        if text:
            grid.add_row(Text(title, "dim"), Text(text))
    if grid.row_count:
        write(grid, "")
    if said["parameters"]:
        rows = []
        for p in said["parameters"]:
            default = Text("required", "yellow") if p["required"] else value_words(p["default"])
            rows.append((p["name"], p["type"], default, p["doc"]))
        write(table(("parameter", "type", "default", "description"), rows))
    else:
        write("It has no parameters.")
    write(Text(said["example"], "green"))


def _paragraph(paragraph: str) -> None:
    """Print a paragraph, wrapped at words."""
    import textwrap

    write(textwrap.fill(paragraph, min(console().width, 110), break_on_hyphens=False) + "\n")
