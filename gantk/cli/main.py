"""The command `gantk`: registers one verb per module."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import Annotated

import typer

from gantk.cli import (
    compare,
    data,
    describe,
    doctor,
    evaluate,
    export,
    figure,
    listing,
    new,
    plugins,
    predict,
    recipes,
    report,
    run,
    schema,
    show,
    sync,
    table,
    ui,
    validate,
)
from gantk.cli.errors import Verbs
from gantk.ranks import world_size

__all__ = ["app", "main"]

app = typer.Typer(
    name="gantk",
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich markup would swallow [brackets] in help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("validate")(validate.validate)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("compare")(compare.compare)
app.command("table")(table.table)
app.command("figure")(figure.figure)
app.command("describe")(describe.describe)
app.command("report")(report.report)
app.command("ui")(ui.ui)
app.command("sync")(sync.sync)
app.command("recipes")(recipes.recipes)
app.command("list")(listing.list_components)
app.command("show")(show.show)
app.command("schema")(schema.schema)
app.command("plugins")(plugins.plugins)
app.command("doctor")(doctor.doctor)
app.add_typer(data.app, name="data")
app.add_typer(new.app, name="new")


def _version(wanted: bool) -> None:
    if wanted:
        import gantk

        typer.echo(f"gantk {gantk.__version__}")
        raise typer.Exit


@app.callback()
def gantk_command(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train, evaluate and track image-translation GANs from recipes."""


def main() -> None:
    """Entry point of the command `gantk`."""
    try:
        app()
    except SystemExit as end:
        if world_size() > 1:
            _leave(end.code)
        raise


def _leave(code: str | int | None) -> None:
    """End this process without Python's finalization, which a thread of torch's process group may abort.

    An interrupted run then looked like a failed one. Destroying the group does not end the thread if a module has used
    the group (https://github.com/pytorch/pytorch/issues/190489).
    """
    threading._shutdown()  # type: ignore[attr-defined]  # ends pools and joins threads, as multiprocessing's processes do
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader has ended, or it is closed
            stream.flush()
    os._exit(code if isinstance(code, int) else bool(code))
