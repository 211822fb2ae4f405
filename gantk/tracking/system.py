"""System metrics during training, measured by MLflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["SystemWatch"]


class SystemWatch:
    """MLflow's monitor of processor, memory, disk, network and GPU; if it fails, there is only a note.

    Args:
        on_note: called with a one-line reason if nothing is measured.
    """

    def __init__(self, on_note: Callable[[str], None]) -> None:
        self._on_note = on_note
        self._monitor: Any = None
        self._tried = False

    def begin(self, run_id: str, uri: str) -> None:
        """Start measuring for an MLflow run, continuing its existing metrics; does nothing after the first call."""
        if self._tried:
            return
        self._tried = True
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            make: Any = SystemMetricsMonitor  # untyped in MLflow
            self._monitor = make(run_id, resume_logging=True, tracking_uri=uri)
            self._monitor.start()
        except Exception as error:  # any error of MLflow or a driver must not stop the run
            self._monitor = None
            self._on_note(f"system metrics are not recorded: {error}")

    def end(self) -> None:
        """Stop measuring, and send the measurements."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
