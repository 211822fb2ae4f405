"""`gantk compare`: test results of several runs side by side, with paired tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import gantk
from gantk.cli.console import write_json
from gantk.cli.options import AsJson, RunNames, RunsFolder
from gantk.cli.table import show
from gantk.runs.files import is_run


def compare(
    runs: RunNames,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="RUN[/METHOD]",
            help="Method that the others are tested against; default: the predicting role of the first run.",
        ),
    ] = None,
    all_regions: Annotated[
        bool, typer.Option("--all-regions", help="Test in every region, not only in the whole image.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Compare runs with different splits or metric settings as well; the table says so."
        ),
    ] = False,
    below: RunsFolder = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Compare the test results of runs, paired by patient.

    Runs that were measured differently are refused.
    """
    from gantk.tables.compare import compare as compare_runs
    from gantk.tables.compare import to_dict

    comparison = compare_runs(
        [gantk.resolve_run(run, below) for run in runs],
        force=force,
        reference=None if reference is None else _run_and_method(reference, below),
        all_regions=all_regions,
    )
    if as_json:
        write_json(to_dict(comparison))
        return
    show(comparison)


def _run_and_method(text: str, runs: Path) -> tuple[Path, str | None]:
    """Split RUN or RUN/METHOD; if the text is not the folder of a run, the part after the last `/` is the method."""
    run, slash, method = text.rpartition("/")
    if slash and not is_run(Path(text)):
        return gantk.resolve_run(run, runs), method
    return gantk.resolve_run(text, runs), None
