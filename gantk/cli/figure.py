"""`gantk figure`: one slice translated by several methods, or the distribution of a metric over the patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import gantk
from gantk.cli.console import console
from gantk.cli.options import Device, RunsFolder
from gantk.errors import UsageError

if TYPE_CHECKING:
    from gantk.api.relation import Relation


def figure(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Runs or sweeps: folders, or ids (or starts of ids) under --runs."),
    ],
    patient: Annotated[
        str | None,
        typer.Option(help="Test patient; default: the largest tumor among the examples of all runs."),
    ] = None,
    slice_: Annotated[
        int | None,
        typer.Option(
            "--slice",
            metavar="Z",
            min=0,
            help="Slice index; default: the slice with the largest tumor.",
        ),
    ] = None,
    violin: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="Draw the distribution of a metric over the patients, a violin per method and region.",
        ),
    ] = None,
    agreement: Annotated[
        str | None,
        typer.Option(
            "--bland-altman",
            metavar="METRIC",
            help="Draw each method's difference from the first over the mean of both.",
        ),
    ] = None,
    intensities: Annotated[
        bool,
        typer.Option(
            "--intensities", help="Draw the mean intensity of each region, output minus target over the mean of both."
        ),
    ] = False,
    tumour_size: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="Draw a metric over the size of the tumor."),
    ] = None,
    weight_map: Annotated[
        str | None,
        typer.Option(metavar="MAP/ROLE", help="Draw the error of example slices over a weight map."),
    ] = None,
    regions: Annotated[
        list[str] | None, typer.Option("--region", help="Regions of a metric; default: all. Repeatable.")
    ] = None,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", help="Roles to show; default: the roles that the sweep reports. Repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a sweep; default: the first.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write, .png or .pdf.")] = Path(
        "figure.png"
    ),
    device: Device = "auto",
    runs: RunsFolder = Path("runs"),
) -> None:
    """Draw inputs and target, and for each method its output, error map and tumor, all with the same gray window."""
    over: dict[Relation, str | None] = {
        "violin": violin,
        "bland-altman": agreement,
        "tumour-size": tumour_size,
    }
    asked = {f"--{kind}": named for kind, named in over.items() if named is not None}
    asked |= {"--intensities": ""} if intensities else {}
    if not asked and regions:
        raise UsageError("regions apply only to a metric", where="--region", mend="add --violin METRIC")
    if len(asked) + (weight_map is not None) > 1:
        raise UsageError("a figure shows one thing", where=", ".join(asked), mend="draw one figure at a time")
    if (asked or weight_map is not None) and (patient is not None or slice_ is not None or seed is not None):
        raise UsageError("this figure covers all patients and seeds", mend="omit --patient, --slice and --seed")
    from gantk.report.saving import check_format

    check_format(out)
    folders = [gantk.resolve_run(source, runs) for source in sources]
    from gantk.api import relation

    if weight_map is not None:
        said = f" and {relation.error_by_weight(folders, out, name=weight_map, roles=roles or ())}"
    elif intensities:
        said = f" and {relation.intensities(folders, out, regions=regions or (), roles=roles or ())}"
    elif asked:
        kind, metric = next((kind, named) for kind, named in over.items() if named is not None)
        beside = relation.relation(folders, out, kind=kind, metric=metric, regions=regions or (), roles=roles or ())
        said = f" and {beside}"
    else:
        from gantk.api.figure import compare_slices
        from gantk.report import relations

        found = compare_slices(folders, patient=patient, place=slice_, roles=roles or (), seed=seed, device=device)
        relations.save(relations.slice_of(found), out)
        said = f": {found.title}, {len(found.outputs)} methods"
    console().print(f"wrote {out}{said}", soft_wrap=True, markup=False)
