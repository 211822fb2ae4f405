"""`gantk sync`: upload run data that MLflow does not have yet."""

from __future__ import annotations

from pathlib import Path

from gantk.cli.console import write
from gantk.cli.options import RunNames, RunsFolder, TrackingUri


def sync(runs: RunNames, tracking_uri: TrackingUri = None, below: RunsFolder = Path("runs")) -> None:
    """Upload run data that MLflow does not have yet, after its server was down or to another store."""
    import gantk
    from gantk.progress import default_progress
    from gantk.tracking import sync as sync_run

    folders = [gantk.resolve_run(run, below) for run in runs]
    for folder in folders:
        fed = sync_run(folder, tracking_uri, default_progress())
        write(
            f"{folder.name}: {fed['metrics']} metric values, {fed['panels']} panels and {fed['files']} files "
            f"to {fed['uri']}"
        )
