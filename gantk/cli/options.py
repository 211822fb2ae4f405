"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Device", "RecipeFile", "RunName", "RunNames", "RunsFolder", "Set", "TrackingUri"]

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, a TOML file.", show_default=False)]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, or its id (or the start of it) under --runs.")
]
RunNames = Annotated[
    list[str], typer.Argument(metavar="RUN…", help="Run folders, or ids (or their starts) under --runs.")
]
RunsFolder = Annotated[Path, typer.Option("--runs", metavar="DIR", help="The folder of the runs.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change the recipe, typed as TOML: --set training.x=1; repeatable."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="MLflow's store; default: the recipe's, MLFLOW_TRACKING_URI, or SQLite in the runs folder.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
