"""Stores are created completely or not at all, and incomplete stores are repaired without loss of data."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.store.db import utils

from gantk.errors import TrackingError
from gantk.tracking import database
from gantk.tracking.store import Store
from kills import killed

HEAD = utils._get_latest_schema_revision()


def by_mlflow(path: Path) -> None:
    """Create or upgrade a database with MLflow itself."""
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{path}")
    utils._initialize_tables(engine)
    engine.dispose()


def query(path: Path, text: str) -> list[tuple]:  # type: ignore[type-arg]
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(text).fetchall()


def names(path: Path) -> set[tuple]:  # type: ignore[type-arg]
    with closing(sqlite3.connect(path)) as connection:
        return database._objects(connection)


@pytest.fixture(scope="session")
def whole(store: Store) -> set[tuple]:  # type: ignore[type-arg]
    assert store.database is not None
    return names(store.database)


@pytest.mark.parametrize("statement", [1, 60, 180])
def test_killed_while_a_store_is_made(tmp_path: Path, whole: set[tuple], statement: int) -> None:  # type: ignore[type-arg]
    path = tmp_path / "mlflow.db"
    killed(lambda: database.prepare(path), statement)
    assert not path.exists()
    database.prepare(path)
    assert names(path) == whole
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]  # no leftovers of killed processes


@pytest.mark.parametrize("statement", [6, 60, 150])
def test_a_store_that_mlflow_was_killed_at_is_mended(tmp_path: Path, whole: set[tuple], statement: int) -> None:  # type: ignore[type-arg]
    path = tmp_path / "mlflow.db"
    killed(lambda: by_mlflow(path), statement)
    assert path.exists()
    database.prepare(path)
    assert names(path) == whole
    assert query(path, "SELECT version_num FROM alembic_version") == [(HEAD,)]


def older(path: Path, revision: str) -> None:
    """A store of an older MLflow, with a run in it."""
    with database._opened(path, durable=False) as engine:
        database._migrate(engine, revision)
    query(path, "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'mine', 'active')")
    query(
        path,
        "INSERT INTO runs (run_uuid, name, experiment_id, status, lifecycle_stage, source_type) "
        "VALUES ('r', 'first', 7, 'FINISHED', 'active', 'LOCAL')",
    )
    query(path, "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('a', 0.5, 1, 'r', 3, 0)")


@pytest.mark.parametrize(("how", "statement"), [(by_mlflow, 2), (by_mlflow, 30), (database.prepare, 4)])
def test_an_older_store_keeps_what_it_holds_through_a_kill(
    tmp_path: Path,
    whole: set[tuple],  # type: ignore[type-arg]
    how: Callable[[Path], None],
    statement: int,
) -> None:
    path = tmp_path / "mlflow.db"
    older(path, "7ac759974ad8")
    killed(lambda: how(path), statement)
    database.prepare(path)
    assert names(path) == whole
    assert query(path, "SELECT name FROM experiments WHERE experiment_id = 7") == [("mine",)]
    assert query(path, "SELECT name, experiment_id FROM runs") == [("first", 7)]
    assert query(path, "SELECT key, value, step FROM metrics") == [("a", 0.5, 3)]


def test_a_mended_store_is_used_by_mlflow(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    killed(lambda: by_mlflow(path), 101)
    with pytest.raises(Exception, match=r"already exists|duplicate|no such"):
        by_mlflow(path)
    mended = Store(f"sqlite:///{path}")
    run = mended.client().create_run(mended.experiment("x"))
    assert MlflowClient(mended.uri).get_run(run.info.run_id).info.status == "RUNNING"


def test_what_mending_cannot_mend_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    older(path, "7ac759974ad8")
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other, pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "PATIENCE", 0.05)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="locked"):
            Store(f"sqlite:///{path}").client()
    assert path.read_bytes() == before
    path.write_text("this is no database, and too long to be an empty one" * 99)
    with pytest.raises(TrackingError, match="not a database"):
        Store(f"sqlite:///{path}").client()
    assert path.read_text().startswith("this is")


def test_values_arrive_as_mlflow_itself_writes_them(store: Store) -> None:
    client, experiment = store.client(), store.experiment("bulk")
    ours, theirs = (client.create_run(experiment).info.run_id for _ in range(2))
    values = [0.5, -1.0, math.nan, math.inf, -math.inf, 2.0]
    metrics = [Metric(f"m/{i % 2}", value, 1000 + i, step) for i, value in enumerate(values) for step in (2, 1)]
    for _ in range(2):  # sent again, nothing is there twice
        store.log_metrics(ours, metrics)
        client.log_batch(theirs, metrics=metrics)
    assert store.database is not None
    for table in ("metrics", "latest_metrics"):
        got = [
            query(store.database, f"SELECT key, value, timestamp, step, is_nan FROM {table} WHERE run_uuid = '{run}'")
            for run in (ours, theirs)
        ]
        assert sorted(got[0]) == sorted(got[1])
        assert got[0]


def test_values_of_no_run_are_refused(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        store.log_metrics("nobody", [Metric("a", 1.0, 1, 1)])
