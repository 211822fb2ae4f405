"""`gantk describe`: the methods paragraph of a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import RunName, RunsFolder


def describe(
    run: RunName,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print only the BibTeX entries.")] = False,
    runs: RunsFolder = Path("runs"),
) -> None:
    """Print a methods paragraph for a run (data, preprocessing, networks, training, versions) and BibTeX entries."""
    import gantk
    from gantk.report.methods import describe as described

    found = described(gantk.resolve_run(run, runs))
    write(found.bibtex if bibtex else f"{found.text}\n\n{found.bibtex}")
