"""`gantk predict`: a volume for one patient."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import Device, RunName


def predict(
    run: RunName,
    patient: Annotated[Path, typer.Argument(metavar="PATIENT_DIR", help="The patient's folder with NIfTI files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The NIfTI file to write.", show_default=False)],
    role: Annotated[
        str | None, typer.Option(help="The translator to use; default: the recipe's.", show_default=False)
    ] = None,
    device: Device = "auto",
) -> None:
    """Synthesise the target volume of a patient with a run's model, on the input's grid and header."""
    import gantk
    from gantk.progress import default_progress

    gantk.load(gantk.resolve_run(run), device=device).predict(patient, out, role, default_progress())
    write(str(out))
