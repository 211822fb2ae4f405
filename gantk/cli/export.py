"""`gantk export`: a trained generator for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import Role, RunName, RunsFolder, Target


def export(
    run: RunName,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="X.onnx, X.pt2 (torch.export), or a folder for the weights."),
    ],
    role: Role = None,
    target: Target = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files, but never a folder.")] = False,
    runs: RunsFolder = Path("runs"),
) -> None:
    """Export the generator of a run, with its scaling and padding, and compare it with the torch module."""
    import gantk
    from gantk.api.export import export as carry_out

    made = carry_out(gantk.resolve_run(run, runs), out, role=role, target=target, overwrite=overwrite)
    known = made.description
    sizes = "any size" if known.multiple == 1 else f"multiples of {known.multiple}"
    if known.multiple is None:
        sizes = "{} × {}".format(*known.settings.crop)
    if known.dimensions == 3 and known.windows is not None:
        fixed = " × ".join(map(str, known.windows.size))
        shape = f"windows of {fixed} voxels, overlap {known.windows.overlap:g}, {known.windows.blend}"
    else:
        shape = f"height and width: {sizes}"
    write(f"{made.role}: {', '.join(known.takes)} -> {known.target}; {shape}")
    for remark in made.remarks:
        write(remark)
    write(f"Largest difference from the torch module: {made.difference:.1e} ({made.slice})")
    for file in made.files:
        write(str(file))
