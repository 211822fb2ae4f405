"""`gantk compare`: one table over several runs."""

from __future__ import annotations

from typing import Annotated

import typer

from gantk.cli.console import write, write_json
from gantk.cli.options import AsJson, RunNames


def compare(
    runs: RunNames,
    force: Annotated[
        bool, typer.Option(help="Also compare runs with other splits or metric settings; the table says so.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the test results of runs; those that were measured differently are refused."""
    import gantk
    from gantk.evaluation.compare import compare as compare_runs

    comparison = compare_runs([gantk.resolve_run(run) for run in runs], force=force)
    if as_json:
        write_json(comparison.to_dict())
    else:
        for table in comparison.tables():
            write(table)
