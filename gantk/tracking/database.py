"""The file of an SQLite store: atomic creation, repair after an interrupted migration, and fast insertion."""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantk.files import atomic_write

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from sqlalchemy import Engine

__all__ = ["insert_metrics", "prepare"]

#: Seconds to wait for another process's transaction.
PATIENCE = 20.0


def prepare(path: Path) -> None:
    """Create a database, or migrate it to the schema of the installed MLflow; one process at a time.

    A new database is built in a temporary file and moved into place when it is complete. An older database is migrated
    step by step, each migration in one transaction. MLflow's own migration does not use transactions: if it is killed,
    it leaves tables that its next attempt cannot create again. Such a database is repaired.

    Raises:
        sqlalchemy.exc.DatabaseError, sqlite3.DatabaseError, OSError: the database cannot be read or written.
    """
    path = path.resolve()
    for left in path.parent.glob(f".*.partial-{path.name}*"):
        left.unlink(missing_ok=True)  # left by a killed process: the lock excludes others
    if not path.exists() or not path.stat().st_size:
        with atomic_write(path) as temporary, _opened(temporary, durable=False) as engine:
            _migrate(engine)
        return
    revision, newer = _revision(path), _revisions()
    if revision is not None and revision not in newer[1:]:
        return  # the newest, or unknown, for which MLflow reports the error
    from sqlalchemy.exc import OperationalError

    try:
        with _opened(path) as engine:
            _migrate(engine)
    except OperationalError as error:
        _mend(path, revision, error)


def insert_metrics(path: Path, run_id: str, metrics: Sequence[Metric]) -> None:
    """Add values in one transaction, 15 times as fast as MLflow's `log_batch`; existing values are kept.

    Raises:
        sqlite3.Error: there is no such run, or the database cannot be written.
    """
    rows = [(m.key, *_storable(m.value), m.timestamp, m.step, run_id) for m in metrics]
    latest = {row[0]: row for row in sorted(rows, key=lambda row: (row[4], row[3], row[1]))}
    with closing(_connection(path, "rw")) as database:
        database.execute("PRAGMA foreign_keys = ON")
        with database:
            columns = "(key, value, is_nan, timestamp, step, run_uuid) VALUES (?, ?, ?, ?, ?, ?)"
            database.executemany(f"INSERT INTO metrics {columns} ON CONFLICT DO NOTHING", rows)
            database.executemany(
                f"INSERT INTO latest_metrics {columns} ON CONFLICT (key, run_uuid) DO UPDATE SET "
                "value = excluded.value, is_nan = excluded.is_nan, timestamp = excluded.timestamp, "
                "step = excluded.step "
                "WHERE (excluded.step, excluded.timestamp, excluded.value) > (step, timestamp, value)",
                list(latest.values()),
            )


def _storable(value: float) -> tuple[float, bool]:
    """Value and `is_nan` as MLflow stores them: SQL has neither NaN nor infinity."""
    if math.isnan(value):
        return 0.0, True
    return (math.copysign(sys.float_info.max, value) if math.isinf(value) else value), False


# -- migrations -----------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, *, durable: bool = True) -> Iterator[Engine]:
    """An engine whose transactions include schema changes, which Python's sqlite3 would commit one by one.

    Args:
        durable: whether the file must survive a crash; a file that is then discarded need not.
    """
    from sqlalchemy import URL, create_engine, event

    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": PATIENCE})

    @event.listens_for(engine, "connect")
    def _(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        if not durable:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = MEMORY")

    @event.listens_for(engine, "begin")
    def _(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    try:
        yield engine
    finally:
        engine.dispose()


def _migrate(engine: Engine, revision: str | None = "heads") -> None:
    """Migrate a database to a revision of MLflow's schema; None is the state before the first revision."""
    from alembic import command
    from mlflow.store.tracking.dbmodels.initial_models import Base

    Base.metadata.create_all(engine)
    if revision is None:
        return
    config = _alembic()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _revision(path: Path) -> str | None:
    """The revision recorded in a database."""
    with closing(_connection(path, "ro")) as database:
        if "alembic_version" not in _columns(database):
            return None
        row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def _revisions() -> list[str]:
    """The revisions of the installed MLflow, the newest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_alembic())
    return [script.revision for script in scripts.walk_revisions()]


def _alembic() -> Any:
    from mlflow.store.db import utils

    return utils._get_alembic_config("sqlite://")  # type: ignore[no-untyped-call]


# -- mending --------------------------------------------------------------------------------------------------


def _mend(path: Path, revision: str | None, error: Exception) -> None:
    """Rebuild a database in which a migration was interrupted, keeping all its data.

    Raises:
        Exception: `error`, if the schema matches its revision, so that the failure has another cause.
    """
    with atomic_write(path) as temporary, _opened(temporary, durable=False) as engine:
        _migrate(engine, revision)
        with closing(_connection(path, "ro")) as old, closing(_connection(temporary, "ro")) as new:
            if _objects(old) == _objects(new):
                raise error
        _copy(path, temporary)
        _migrate(engine)


def _copy(source: Path, target: Path) -> None:
    """Copy the rows of every table of the target from the source, with the source locked against other processes."""
    with closing(sqlite3.connect(target, isolation_level=None)) as database:
        new = _columns(database)
        database.execute("ATTACH ? AS old", (str(source),))
        old = _columns(database, "old")
        database.execute("BEGIN EXCLUSIVE")
        for table in new.keys() - {"alembic_version"}:
            # a table in the middle of a rewrite may have its rows only in the temporary copy
            there = next((name for name in (table, f"_alembic_tmp_{table}") if name in old), None)
            if there is not None:
                columns = ", ".join(f'"{name}"' for name in new[table] if name in old[there])
                database.execute(f'DELETE FROM main."{table}"')  # the source also has the rows that migrations inserted
                database.execute(f'INSERT INTO main."{table}" ({columns}) SELECT {columns} FROM old."{there}"')
        database.execute("COMMIT")


def _objects(database: sqlite3.Connection) -> set[tuple[str, ...]]:
    """The names of all tables, columns and indexes."""
    indexes = database.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    return {*indexes, *((table, name) for table, columns in _columns(database).items() for name in columns)}


def _columns(database: sqlite3.Connection, schema: str = "main") -> dict[str, list[str]]:
    """The columns of every table, except computed columns."""
    query = f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    tables = [name for (name,) in database.execute(query)]
    return {table: [row[1] for row in database.execute(f'PRAGMA {schema}.table_info("{table}")')] for table in tables}


def _connection(path: Path, mode: str) -> sqlite3.Connection:
    """A connection in mode `ro` or `rw`; a missing file is not created."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=PATIENCE)
