"""`gantk predict`: a volume for one patient, or pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import Device, RunName, RunsFolder


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
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help="Size that pictures are translated at; default: their own.", show_default=False
        ),
    ] = None,
    device: Device = "auto",
    runs: RunsFolder = Path("runs"),
) -> None:
    """Synthesise the target of a patient or picture with a run's model, on the input's grid, header and depth."""
    import gantk
    from gantk.progress import default_progress

    wanted = None if size is None else _size(size)
    model = gantk.load(gantk.resolve_run(run, runs), device=device)
    for file in model.predict_all(patient, out, role, default_progress(), target, overwrite, wanted):
        write(str(file))


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no size; write height and width, as in 256x384", param_hint="--size")
    return int(found[1]), int(found[2])
