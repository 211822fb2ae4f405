"""Reports of data that MLflow lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gantk.progress import Bar, QuietProgress
from gantk.tracking.feeder import sync
from gantk.tracking.store import Store
from mlflow_runs import mlflow_run

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


class Counted(QuietProgress):
    """Counts the totals of tasks and their progress."""

    def __init__(self) -> None:
        self.total = self.done = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Bar]:
        self.total += total
        yield self

    def advance(self, n: int = 1) -> None:
        self.done += n


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_said_to_be_fed_is_what_is_fed(store: Store, make_run: Make, lost: bool) -> None:
    """The values that are derived from the journal count, and so does a store that lost the run."""
    made = make_run(f"counted-{lost}")
    made.steps(1, 3)
    made.status("finished", 3)
    if lost:
        sync(made.path, store.uri)
        store.client().delete_run(mlflow_run(store, made.path).info.run_id)
    progress = Counted()
    fed = sync(made.path, store.uri, progress)
    assert fed["metrics"] == 2 * 3 + len(["run/epoch", "run/seconds per step"])
    assert progress.total == progress.done == fed["metrics"] + fed["files"]
    assert fed["files"] > 0
