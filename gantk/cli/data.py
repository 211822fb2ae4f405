"""`gantk data`: cohorts to try things with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.pages import Group

app = typer.Typer(cls=Group, rich_markup_mode=None, no_args_is_help=True, help="Make data.")


@app.callback()
def data_command() -> None:
    """Make data."""


@app.command("phantom")
def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write to.", show_default=False)],
    subjects: Annotated[int, typer.Option(min=1, help="How many patients.")] = 60,
    spacing: Annotated[float, typer.Option(min=1.0, max=8.0, metavar="MM", help="Voxel size in mm.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Other seeds give other patients.")] = 0,
) -> None:
    """Write synthetic patients with brain tumours as NIfTI, in the layout of BraTS 2020."""
    from gantk.phantom import write_phantom
    from gantk.progress import default_progress

    written = write_phantom(out, subjects, spacing, seed, default_progress())
    write(f"{len(written)} patients in {out}")
