"""`gantk predict`: translate one patient or picture, or a cohort of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import Device, Role, RunName, RunsFolder, Target


def predict(
    run: RunName,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Folder of a patient with NIfTI files, or a picture. For a cohort: a table (CSV, TSV), a folder of "
            "patients, a BIDS data set, or a folder of pictures.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; for a cohort, a folder.")],
    role: Role = None,
    target: Target = None,
    suffix: Annotated[
        str | None,
        typer.Option(
            help="For a cohort: end of the file names, after the subject's name; default: _TARGET, none for pictures.",
        ),
    ] = None,
    ensemble: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="Further run; the mean over all runs and the standard deviation are written. Repeatable.",
        ),
    ] = None,
    flips: Annotated[
        bool, typer.Option("--flips", help="Average over each slice and its left-right mirror image.")
    ] = False,
    samples: Annotated[
        int,
        typer.Option(
            min=1, help="Number of samples from a random generator; their mean and standard deviation are written."
        ),
    ] = 1,
    also: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Further output of the generator, such as a spread, written next to the image. Repeatable.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files, but never the inputs.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Size at which pictures are translated; default: their own size."),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Value that the networks receive besides images (data.extra). Repeatable."
        ),
    ] = None,
    device: Device = "auto",
    runs: RunsFolder = Path("runs"),
) -> None:
    """Synthesize the target of a patient or picture, or of a cohort, with the model of a run, on the inputs' grids.

    For a cohort, existing files are kept. A patient that cannot be read is reported and skipped; the exit code is then
    1. predictions.csv lists the results, with the recipe's metrics for patients with a target.
    """
    import gantk
    from gantk.api.ensemble import Ensemble
    from gantk.api.predict import predict_cohort
    from gantk.api.preparing import Request

    wanted, values = None if size is None else _size(size), _given(given or ())
    models = [gantk.load(gantk.resolve_run(name, runs), device=device) for name in (run, *(ensemble or ()))]
    models = [sample for model in models for sample in model.samples(samples, role)]
    if models[0].members(source) is None:
        asked = Request(role, target, wanted, flips, values, also or ())
        for file in Ensemble(models).predict(source, out, asked, overwrite=overwrite):
            write(str(file))
        return
    result = predict_cohort(
        models,
        source,
        out,
        role=role,
        target=target,
        suffix=suffix,
        size=wanted,
        flips=flips,
        given=values,
        also=also or (),
        overwrite=overwrite,
    )
    for row in result.rows:
        if row.status == "made":
            write(str(out / row.file))
    write(f"{', '.join(f'{n} {status}' for status, n in sorted(result.counts.items()))}: {result.table}")
    if result.failed:
        raise typer.Exit(1)


def _given(said: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in said]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise typer.BadParameter(f"write NAME=VALUE, not {name + equals + value!r}", param_hint="--given")
    return {name: value for name, _, value in pairs}


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a size; write height and width, as in 256x384", param_hint="--size")
    return int(found[1]), int(found[2])
