"""`gantk figure`: one slice translated by several methods, or the distribution of a metric over the patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import gantk
from gantk.cli.console import console
from gantk.cli.options import Device, RunsFolder
from gantk.errors import UsageError


def figure(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Runs or sweeps: folders, or ids (or starts of ids) under --runs."),
    ],
    patient: Annotated[
        str | None,
        typer.Option(
            help="Test patient; default: the largest tumor among the examples of all runs.", show_default=False
        ),
    ] = None,
    slice_: Annotated[
        int | None,
        typer.Option(
            "--slice",
            metavar="Z",
            min=0,
            help="Slice index; default: the slice with the largest tumor.",
            show_default=False,
        ),
    ] = None,
    histogram: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC", help="Draw the distribution of a metric over the patients instead.", show_default=False
        ),
    ] = None,
    regions: Annotated[
        list[str] | None, typer.Option("--region", help="Regions of the histogram; default: all. Repeatable.")
    ] = None,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", help="Roles to show; default: the roles that the sweep reports. Repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a sweep; default: the first.", show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write, .png or .pdf.")] = Path(
        "figure.png"
    ),
    device: Device = "auto",
    runs: RunsFolder = Path("runs"),
) -> None:
    """Draw inputs and target, and for each method its output, error map and tumor, all with the same gray window."""
    if histogram is None and regions:
        raise UsageError("regions apply only to a histogram", where="--region", mend="add --histogram METRIC")
    if histogram is not None and (patient is not None or slice_ is not None or seed is not None):
        raise UsageError("a histogram covers all patients and seeds", mend="omit --patient, --slice and --seed")
    from gantk.report.saving import check_format

    check_format(out)
    folders = [gantk.resolve_run(source, runs) for source in sources]
    from gantk.api import figure as figures

    if histogram is not None:
        figures.histogram(folders, out, metric=histogram, regions=regions or (), roles=roles or ())
        said = ""
    else:
        found = figures.figure(folders, out, patient=patient, place=slice_, roles=roles or (), seed=seed, device=device)
        said = f": {found.title}, {len(found.outputs)} methods"
    console().print(f"wrote {out}{said}", soft_wrap=True, markup=False)
