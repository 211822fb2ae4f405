"""`gantk predict`: a volume for one patient, or pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import Device, RunName


def predict(
    run: RunName,
    patient: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="The patient's folder with NIfTI files; a picture, or a folder of them."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The file to write; a folder for a folder of pictures.", show_default=False),
    ],
    role: Annotated[
        str | None, typer.Option(help="The translator to use; default: the recipe's.", show_default=False)
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="What to synthesise, where the translator gives several.", show_default=False)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist; the inputs' own never are.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Synthesise the target of a patient or picture with a run's model, on the input's grid, header and depth."""
    import gantk
    from gantk.progress import default_progress

    model = gantk.load(gantk.resolve_run(run), device=device)
    for file in model.predict_all(patient, out, role, default_progress(), target, overwrite):
        write(str(file))
