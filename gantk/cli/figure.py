"""`gantk figure`: one slice through several methods as in a paper, or how a metric spreads over the patients."""

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
        typer.Argument(metavar="RUN…", help="Runs or sweeps: folders, or ids (or their starts) under --runs."),
    ],
    patient: Annotated[
        str | None,
        typer.Option(
            help="A test patient; default: the largest tumour among the examples of all runs.", show_default=False
        ),
    ] = None,
    slice_: Annotated[
        int | None,
        typer.Option("--slice", metavar="Z", min=0, help="Its slice; default: the largest tumour.", show_default=False),
    ] = None,
    histogram: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="Draw how a metric spreads over the patients instead.", show_default=False),
    ] = None,
    regions: Annotated[
        list[str] | None, typer.Option("--region", help="Regions of the histogram; default: all. Repeatable.")
    ] = None,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", help="Roles that become rows; default: what the sweep reports. Repeatable."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Which of a sweep's seeds; default: the first.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="A .png or .pdf.")] = Path("figure.png"),
    device: Device = "auto",
    runs: RunsFolder = Path("runs"),
) -> None:
    """Draw inputs, target, and per method its synthesis, error map and tumour, in one window, on one error scale."""
    if histogram is None and regions:
        raise UsageError("regions belong to a histogram", where="--region", mend="add --histogram METRIC")
    if histogram is not None and (patient is not None or slice_ is not None or seed is not None):
        raise UsageError("a histogram is over all patients and seeds", mend="leave --patient, --slice and --seed out")
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
