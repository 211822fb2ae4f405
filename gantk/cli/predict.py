"""`gantk predict`: translate one patient, or pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import Device, RunName, RunsFolder


def predict(
    run: RunName,
    patient: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT", help="Folder of a patient with NIfTI files, a picture, or a folder of pictures."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="File to write; for a folder of pictures, a folder.", show_default=False),
    ],
    role: Annotated[
        str | None,
        typer.Option(help="Translator to use; default: the predicting role of the recipe.", show_default=False),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Target to write, if the translator has several.", show_default=False)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files, but never the inputs.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help="Size at which pictures are translated; default: their own size.", show_default=False
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="What is said beside the images (data.extra); repeatable.", show_default=False
        ),
    ] = None,
    device: Device = "auto",
    runs: RunsFolder = Path("runs"),
) -> None:
    """Synthesize the target of a patient or picture with the model of a run, on the grid of the input."""
    import gantk
    from gantk.progress import default_progress

    wanted = None if size is None else _size(size)
    model = gantk.load(gantk.resolve_run(run, runs), device=device)
    for file in model.predict_all(
        patient, out, role, default_progress(), target, overwrite, wanted, _given(given or ())
    ):
        write(str(file))


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
