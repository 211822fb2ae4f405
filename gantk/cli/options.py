"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Device", "RecipeFile", "RunName", "RunNames", "RunsFolder", "Set", "TrackingUri"]

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe (TOML file).", show_default=False)]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder of a run, or the id (or start of the id) of a run under --runs.")
]
RunNames = Annotated[
    list[str], typer.Argument(metavar="RUN", help="Folders of runs, or ids (or starts of ids) of runs under --runs.")
]
RunsFolder = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the runs.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override of a recipe key, with a TOML value: --set training.ema=0.999. Repeatable.",
    ),
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="MLflow address; default: tracking.uri of the recipe, MLFLOW_TRACKING_URI, or SQLite in the runs folder.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
