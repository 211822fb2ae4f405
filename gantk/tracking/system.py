"""What the machine does while a run trains, as MLflow measures it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["SystemWatch"]


class SystemWatch:
    """MLflow's monitor of processor, memory, disk, network and GPU; one that cannot work costs a note alone.

    Args:
        on_note: told in one line why nothing is measured.
    """

    def __init__(self, on_note: Callable[[str], None]) -> None:
        self._on_note = on_note
        self._monitor: Any = None
        self._tried = False

    def begin(self, run_id: str, uri: str) -> None:
        """Measure for an MLflow run, going on after what it has; nothing where that was tried before."""
        if self._tried:
            return
        self._tried = True
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            make: Any = SystemMetricsMonitor  # it has no types
            self._monitor = make(run_id, resume_logging=True, tracking_uri=uri)
            self._monitor.start()
        except Exception as error:  # of MLflow or a driver: the run goes on
            self._monitor = None
            self._on_note(f"no system metrics: {error}")

    def end(self) -> None:
        """Measure no more, and send what was measured."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
