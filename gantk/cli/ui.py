"""`gantk ui`: serve the MLflow UI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantk.cli.console import write
from gantk.cli.options import RunsFolder, TrackingUri


def ui(
    runs: RunsFolder = Path("runs"),
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; default: 5000, or a free port.")] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Serve the MLflow UI for the runs on 127.0.0.1, until Ctrl-C."""
    from gantk.errors import TrackingError
    from gantk.tracking.ui import serve, store_of

    uri = store_of(runs, tracking_uri)

    def ready(url: str) -> None:
        write(f"MLflow UI: {url}")

    code = serve(uri, port, ready)
    if code > 0:
        raise TrackingError(f"the MLflow UI ended with exit code {code}")
