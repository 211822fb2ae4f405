"""The data of a run in MLflow."""

from __future__ import annotations

from pathlib import Path

from gantk.tracking.store import Store


def mlflow_run(store: Store, path: Path):  # type: ignore[no-untyped-def]
    experiment = store.experiment("tests")
    found = store.client().search_runs([experiment], f"tags.`gantk.run` = '{path.name}'")
    assert len(found) == 1
    return found[0]


def steps_of(store: Store, run_id: str, name: str) -> list[int]:
    return [metric.step for metric in store.client().get_metric_history(run_id, name)]


def images_of(store: Store, run_id: str) -> list[str]:
    return sorted(Path(f.path).name for f in store.client().list_artifacts(run_id, "images"))
