"""`gantk data`: generate cohorts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.pages import Group

app = typer.Typer(cls=Group, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def data_command() -> None:
    """Generate data."""


@app.command("phantom")
def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.", show_default=False)],
    subjects: Annotated[int, typer.Option(min=1, help="Number of patients.")] = 60,
    spacing: Annotated[float, typer.Option(min=1.0, max=8.0, metavar="MM", help="Voxel size in mm.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Random seed of the patients.")] = 0,
) -> None:
    """Write synthetic patients with brain tumors as NIfTI, in the layout of BraTS 2020."""
    from gantk.phantom import write_phantom
    from gantk.progress import default_progress

    written = write_phantom(out, subjects, spacing, seed, default_progress())
    write(f"{len(written)} patients in {out}")
