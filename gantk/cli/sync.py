"""`gantk sync`: upload run data that MLflow does not have yet."""

from __future__ import annotations

from pathlib import Path

from gantk.cli.console import write
from gantk.cli.options import RunNames, RunsFolder, TrackingUri


def sync(runs: RunNames, tracking_uri: TrackingUri = None, below: RunsFolder = Path("runs")) -> None:
    """Upload run data that MLflow does not have yet, after its server was down or to another store.

    A sweep is uploaded with its runs.
    """
    import gantk
    from gantk.progress import default_progress
    from gantk.tracking import sync as sync_run
    from gantk.tracking.folder import RunFolder

    folders = [gantk.resolve_run(run, below) for run in runs]
    for run in folders:
        children = [child.path for child in RunFolder(run).children if child.status()]  # only runs that have begun
        for folder in (run, *children):  # MLflow needs a parent before its children
            fed = sync_run(folder, tracking_uri, default_progress())
            counts = f"{fed['metrics']} metric values, {fed['panels']} panels and {fed['files']} files"
            write(f"{folder.name}: {counts} to {fed['uri']}")
