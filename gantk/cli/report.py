"""`gantk report`: write the report of a run or sweep again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import RunName, RunsFolder
from gantk.errors import UsageError


def report(
    run: RunName,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="For sweeps: row that the others are tested against; default: the reference of the sweep.",
        ),
    ] = None,
    runs: RunsFolder = Path("runs"),
) -> None:
    """Write report.html of a run or sweep again, from the files in its folder."""
    import gantk
    from gantk.report.html import write_report
    from gantk.report.sweep import write_sweep_report
    from gantk.runs.files import is_sweep

    folder = gantk.resolve_run(run, runs)
    if is_sweep(folder):
        write(str(write_sweep_report(folder, reference=reference)))
    elif reference is not None:
        raise UsageError(
            "the report of a single run has no tests", where="--reference", mend="use `gantk compare`, or name a sweep"
        )
    else:
        write(str(write_report(folder)))
