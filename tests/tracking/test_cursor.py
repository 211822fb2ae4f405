"""The cursor: the position up to which MLflow has a run's data."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from gantk.tracking.cursor import Cursor
from gantk.tracking.feeder import sync
from gantk.tracking.store import Store
from mlflow_runs import images_of, mlflow_run, steps_of

Make = Callable[[str], "MadeRun"]  # noqa: F821  tests/tracking/conftest.py


@pytest.mark.parametrize("damage", ["unsure", "lost"])
def test_a_cursor_that_cannot_know_asks_mlflow(store: Store, make_run: Make, damage: str) -> None:
    """A kill between sending and noting it, or a deleted tracking.json, gives no duplicates either."""
    made = make_run(damage)
    made.steps(1, 6)
    made.panel("validation", 5)
    sync(made.path, store.uri)
    tracking = made.path / "tracking.json"
    if damage == "lost":
        tracking.unlink()
    else:
        text = tracking.read_text().replace('"unsure": false', '"unsure": true')
        tracking.write_text(re.sub(r'("train[^"]+"): 6', r"\1: 3", text))
    made.journal.rewind(3)
    made.steps(4, 9)
    sync(made.path, store.uri)
    run = mlflow_run(store, made.path)
    assert steps_of(store, run.info.run_id, "train/student/pixelwise") == list(range(1, 10))
    assert len(images_of(store, run.info.run_id)) == 2


def test_a_damaged_cursor_is_as_none(store: Store, make_run: Make) -> None:
    made = make_run("damaged")
    for text in ("", "[1]", '{"uri": 3}', '{"steps": ["a"], "uri": "x"}', "\x00"):
        (made.path / "tracking.json").write_text(text)
        assert Cursor.load(made.path / "tracking.json") == Cursor()
