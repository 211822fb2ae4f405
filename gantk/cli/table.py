"""`gantk table`: a table of sweeps or runs for the terminal, Markdown, LaTeX or a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import gantk
from gantk.cli.console import console, write, write_json
from gantk.cli.options import AsJson, RunsFolder
from gantk.errors import UsageError

if TYPE_CHECKING:
    from gantk.tables.model import Table

Format = Literal["rich", "md", "csv", "latex"]


def table(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SWEEP_OR_RUN", help="Folders, or ids (or starts of ids) under --runs."),
    ],
    format_: Annotated[
        Format, typer.Option("--format", "-f", help="Output format; rich is for the terminal.")
    ] = "rich",
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Row that the others are tested against, paired by patient; default: the reference of the sweep.",
        ),
    ] = None,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", help="Roles to show; default: the roles that the sweep reports. Repeatable."),
    ] = None,
    regions: Annotated[
        list[str] | None, typer.Option("--region", help="Regions to show; default: all. Repeatable.")
    ] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="Metrics to show; default: all. Repeatable.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Recipe key that groups the rows, or `none` for no grouping; default: detected.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="File to write; default: standard output."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Combine runs that are not comparable as well; the table says so.")
    ] = False,
    runs: RunsFolder = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Make a table of methods and metrics: mean ± standard deviation over seeds, the best of each metric in bold."""
    from gantk.tables.exports import to_dict
    from gantk.tables.paper import reference_of, result_table
    from gantk.tables.significance import with_tests

    if out and not out.parent.is_dir():
        raise UsageError("there is no such folder", where=out.parent, mend="create the folder, or name another file")
    if out and (as_json or format_ == "rich"):
        raise UsageError("only md, csv and latex can be written to a file", mend="name one of them with --format")
    folders = [gantk.resolve_run(source, runs) for source in sources]
    found = result_table(
        folders,
        roles=roles or (),
        regions=regions or (),
        metrics=metrics or (),
        by=by,
        reference=reference,
        force=force,
    )
    if reference is None and (usual := reference_of(folders)):
        found = with_tests(found, usual)
    if as_json:
        write_json(to_dict(found))
    elif format_ == "rich":
        show(found)
    else:
        _put(_text(found, format_), out)
        if format_ == "csv":  # CSV has no place for them
            _say(found)


def _text(found: Table, format_: Format) -> str:
    from gantk.tables.exports import to_csv
    from gantk.tables.grids import to_latex, to_markdown

    if format_ == "csv":
        return to_csv(found)
    tests = found.significance_grid()
    if format_ == "latex":  # one table per group, as a page is narrow
        return to_latex(*found.grids(), *([tests] if tests else []))
    return "\n".join(to_markdown(grid) for grid in (found.grid(), tests) if grid)


def show(found: Table) -> None:
    """A table for a terminal, with its tests."""
    from gantk.tables.grids import to_rich

    grids = [*found.grids(), found.significance_grid()]
    write(*(to_rich(grid) for grid in grids if grid))


def _put(text: str, out: Path | None) -> None:
    from gantk.scaffold.recipe import write_new

    if out is None:
        typer.echo(text, nl=False)
        return
    write_new(out, text, replace=True)
    console().print(f"wrote {out}", soft_wrap=True, markup=False)


def _say(found: Table) -> None:
    """Print caption and notes on standard error."""
    lines = [found.title, found.caption, *found.notes]
    if found.significance:
        lines += [found.significance.caption, *found.significance.notes]
    if found.differences:
        lines.insert(0, f"NOT COMPARABLE: {'; '.join(found.differences)}")
    for line in lines:
        console().print(line, soft_wrap=True, markup=False)
