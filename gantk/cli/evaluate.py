"""`gantk evaluate`: evaluate trained runs again, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write, write_json
from gantk.cli.options import AsJson, Device, RunNames, RunsFolder, TrackingUri
from gantk.cli.run import show_results


def evaluate(
    runs: RunNames,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override of an evaluation key: --set evaluation.batch=8. Repeatable.",
        ),
    ] = None,
    device: Device = "auto",
    tracking_uri: TrackingUri = None,
    below: RunsFolder = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Evaluate trained runs or sweeps again, with other metrics, regions or baselines, without training.

    The new results replace the old ones in the run's folder and report, in the table of its sweep, and in MLflow.
    """
    import gantk
    from gantk.progress import default_progress
    from gantk.recipe.overrides import SetOptions
    from gantk.runs.files import is_sweep
    from gantk.runs.folders import recipe_to_measure
    from gantk.runs.sweeps import children_of

    overrides = SetOptions(set_ or ())
    folders = [gantk.resolve_run(run, below) for run in runs]
    for folder in folders:  # report mistakes before torch, which is slow, is imported
        for run in children_of(folder) or [folder]:
            recipe_to_measure(run, overrides)
    progress = default_progress()
    results: list[gantk.RunResult] = []
    for folder in folders:
        if is_sweep(folder):
            results += gantk.evaluate_sweep(
                folder, overrides, device=device, progress=progress, tracking_uri=tracking_uri
            )
        else:
            results.append(
                gantk.evaluate(folder, overrides, device=device, progress=progress, tracking_uri=tracking_uri)
            )
    if as_json:
        write_json([{"folder": str(r.folder), "report": str(r.report), "summary": r.summary} for r in results])
        return
    for result in results:
        if result.summary:
            write(f"\n{result.folder.name}")
            show_results(result.folder)
