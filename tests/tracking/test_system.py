"""Measurements of the machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gantk.recipe.model import TrackingSettings
from gantk.tracking.feeder import Feeder
from gantk.tracking.folder import RunFolder
from gantk.tracking.store import Store
from mlflow_runs import mlflow_run
from waiting import until

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


def measured(store: Store, run: Path) -> bool:
    return any(key.startswith("system/") for key in mlflow_run(store, run).data.metrics)


def test_system_metrics_by_one_key(store: Store, make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    found = {}
    for name, wanted in (("without", False), ("with", True)):
        made = make_run(name)
        settings = TrackingSettings.model_validate({**RunFolder(made.path).tracking, "system_metrics": wanted})
        with Feeder(made.path, settings, store.uri, interval=0.05) as feeder:
            assert feeder.begun(240)
            if wanted:
                until(partial(measured, store, made.path))
            made.finish(2)
            assert feeder.close(240) is None
        found[name] = measured(store, made.path)
    assert found == {"without": False, "with": True}
