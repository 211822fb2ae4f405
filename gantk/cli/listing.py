"""`gantk list`: list the components that recipes can use."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantk.cli import completion
from gantk.cli.console import console, table, write, write_json
from gantk.cli.options import AsJson

if TYPE_CHECKING:
    from gantk.plugins import Session


def list_components(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help="Kind of component, such as losses; default: list the kinds.",
            autocompletion=completion.kinds,
        ),
    ] = None,
    glob: Annotated[
        str,
        typer.Argument(metavar="GLOB", help="Pattern of names, such as unet*.", autocompletion=completion.components),
    ] = "*",
    as_json: AsJson = False,
) -> None:
    """List the components of a kind (generators, losses, datasets and so on) with plugin and parameters."""
    from gantk.plugins import KINDS, load_plugins

    session = load_plugins(strict=False)
    registry = session.registry
    say_failures(session)
    if kind is None:
        kinds = {k.plural: registry.names(k.name) for k in KINDS.values()}
        if as_json:
            write_json(kinds)
        else:
            write(table(("kind", "components"), [(name, ", ".join(names)) for name, names in kinds.items()]))
        return
    names = fnmatch.filter(registry.names(kind), glob)
    components = [registry.get(kind, name) for name in names]
    if as_json:
        from gantk.plugins.describe import describe

        write_json([describe(component) for component in components])
        return
    if not components:
        there = ", ".join(registry.names(kind)) or "none"
        console().print(f"no name among the {kind} matches {glob!r}; known: {there}", soft_wrap=True)
        return
    rows = [(c.name, c.plugin, _first_line(c.doc), _parameters(c)) for c in components]
    write(table(("name", "plugin", "description", "parameters"), rows))


def say_failures(session: Session) -> None:
    """Print a line on standard error for each plugin that failed to load."""
    for plugin in session.plugins:
        if plugin.state == "failed":
            console().print(
                f"plugin {plugin.name} is not loaded: {plugin.reason}", style="yellow", markup=False, soft_wrap=True
            )


def _parameters(component: Any) -> str:
    """Parameters with their defaults; required parameters have none."""
    return ", ".join(p.name if p.required else f"{p.name}={p.default!r}" for p in component.parameters)


def _first_line(doc: str) -> str:
    return doc.strip().splitlines()[0] if doc.strip() else ""
