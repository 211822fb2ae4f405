"""`gantk compare`: one table over several runs, and what differs by more than chance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import gantk
from gantk.cli.console import write, write_json
from gantk.cli.options import AsJson, RunNames, RunsFolder
from gantk.runs.files import is_run


def compare(
    runs: RunNames,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="RUN[/METHOD]",
            help="What the others are tested against; default: what the first run predicts with.",
            show_default=False,
        ),
    ] = None,
    all_regions: Annotated[
        bool, typer.Option("--all-regions", help="Test in every region, not in the whole image alone.")
    ] = False,
    force: Annotated[
        bool, typer.Option(help="Also compare runs with other splits or metric settings; the table says so.")
    ] = False,
    below: RunsFolder = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Compare the test results of runs, paired by patient; those that were measured differently are refused."""
    from gantk.tables.compare import compare as compare_runs
    from gantk.tables.compare import to_dict
    from gantk.tables.grids import to_rich

    comparison = compare_runs(
        [gantk.resolve_run(run, below) for run in runs],
        force=force,
        reference=None if reference is None else _run_and_method(reference, below),
        all_regions=all_regions,
    )
    if as_json:
        write_json(to_dict(comparison))
        return
    grids = [*comparison.grids(), comparison.significance_grid()]
    write(*(to_rich(grid) for grid in grids if grid))


def _run_and_method(text: str, runs: Path) -> tuple[Path, str | None]:
    """RUN or RUN/METHOD; what has a `/` and is no folder ends in a method."""
    run, slash, method = text.rpartition("/")
    if slash and not is_run(Path(text)):
        return gantk.resolve_run(run, runs), method
    return gantk.resolve_run(text, runs), None
