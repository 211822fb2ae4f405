"""Addresses of MLflow stores: choosing, creating and probing them."""

from __future__ import annotations

import logging
import os
import re
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from gantk.errors import TrackingError, UsageError
from gantk.recipe.model import TrackingSettings
from gantk.runs.names import TRACKING
from gantk.tracking import database
from gantk.tracking.address import DATABASES, SERVERS, fault, shown
from gantk.tracking.credentials import completed, lend
from gantk.tracking.cursor import Cursor

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

__all__ = ["Store", "check_uri", "default_uri", "load_mlflow", "probe", "resolve_uri", "shown"]

#: MLflow's limit per request, and the number of values per transaction (some megabytes) for stores without a limit.
METRICS_PER_REQUEST, METRICS_PER_TRANSACTION = 1000, 20_000
#: Default ports of databases.
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
#: Timeouts and retries of requests, unless the user sets others; MLflow's own defaults take minutes.
BOUNDS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
#: Disables telemetry, and MLflow's output in the live display and on standard output.
MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def default_uri(runs: Path) -> str:
    """The SQLite store next to the runs, with an absolute path, because a relative one would depend on the caller."""
    return f"sqlite:///{(Path(runs).resolve() / 'mlflow.db').as_posix()}"


def resolve_uri(runs: Path, option: str | None = None, recipe: str | None = None) -> str:
    """The store of a run: the command's option, the recipe, `MLFLOW_TRACKING_URI`, or SQLite next to the runs.

    A relative SQLite path is relative to the working directory. The result has no credentials, so that it can be
    written to files; the credentials in the address are passed to MLflow.

    Raises:
        UsageError: the address is invalid for a store, or a package that it needs is missing.
    """
    places = {
        "--tracking-uri": option,
        "tracking.uri": recipe,
        "MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI") or None,  # an empty variable counts as not set
    }
    place, uri = next(((place, uri) for place, uri in places.items() if uri is not None), ("", default_uri(runs)))
    problem = fault(uri)
    if problem:
        tells = "@" in uri or "?" in uri  # such an address may contain a secret
        raise UsageError(
            "this is not a valid address of an MLflow store",
            where=place if tells else f"{place} {uri}".strip(),
            why=problem[0],
            mend=problem[1],
        )
    relative = re.fullmatch(r"(sqlite(?:\+\w+)?):///(?!/)(?![A-Za-z]:)(.+)", uri)
    if relative:
        uri = f"{relative[1]}:///{Path(relative[2]).resolve().as_posix()}"
    return lend(uri)


def check_uri(settings: TrackingSettings, option: str | None = None, folder: Path | None = None) -> str | None:
    """Check a run's store as far as possible before any work; MLflow, which takes seconds to import, loads meanwhile.

    Args:
        settings: `[tracking]` of the run.
        option: the requested address.
        folder: the folder of a run that was uploaded before; its store is the default.

    Returns the option without credentials, for this process and its child processes.

    Raises:
        UsageError: the resulting address is invalid for a store, or a package that it needs is missing.
    """
    if not settings.enabled:
        return None
    if option is None and folder is not None:
        option = Cursor.load(folder / TRACKING).uri or None
    uri = resolve_uri(Path(), option, settings.uri)
    threading.Thread(target=load_mlflow, args=(uri,), name="gantk-load-mlflow", daemon=True).start()
    return uri if option else None


def load_mlflow(uri: str) -> None:
    """Import the modules that a store needs, which takes seconds, with gantk's settings."""
    for name, value in {**BOUNDS, **MANNERS}.items():
        os.environ.setdefault(name, value)
    import mlflow

    if not uri.startswith(SERVERS):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  the client imports it late

    for logger in ("alembic", "mlflow"):  # set here too because MLflow may have been imported earlier
        logging.getLogger(logger).setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks of errors that gantk reports


def probe(uri: str, timeout: float = 3.0) -> None:
    """Check that a server, or the host of a database, responds at all; other stores pass.

    Raises:
        TrackingError: there is no response within `timeout` seconds.
    """
    try:
        if uri.startswith(DATABASES):
            parts = urlsplit(uri)
            port = parts.port or next(port for name, port in PORTS.items() if uri.startswith(name))
            if parts.hostname:
                socket.create_connection((parts.hostname, port), timeout).close()
        elif uri.startswith(SERVERS):
            with urllib.request.urlopen(shown(uri).rstrip("/") + "/health", timeout=timeout):
                return
    except urllib.error.HTTPError:
        return  # an error response, but the server responds
    except (OSError, ValueError) as error:
        raise TrackingError(
            "the MLflow server does not answer",
            where=shown(uri),
            why=getattr(error, "reason", None) or error,
            mend="start it, or correct --tracking-uri, tracking.uri or MLFLOW_TRACKING_URI",
        ) from error


class Store:
    """One MLflow store, reached through its own client, without MLflow's process-wide tracking address.

    Args:
        uri: the result of `resolve_uri`.

    Attributes:
        batch: largest number of values per call of `log_metrics`.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.batch = METRICS_PER_TRANSACTION if self.database else METRICS_PER_REQUEST
        self._client: MlflowClient | None = None

    @property
    def database(self) -> Path | None:
        """The file of an SQLite store; None for other stores."""
        match = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", self.uri)
        return Path(match[1]) if match else None

    @property
    def artifacts(self) -> Path | None:
        """The artifact folder of an SQLite store, `mlartifacts` next to the database; None for other stores."""
        return self.database.parent / "mlartifacts" if self.database else None

    def client(self) -> MlflowClient:
        """The client, after a probe of a server or the creation of a database (one process at a time).

        Raises:
            TrackingError: the store cannot be reached or created.
        """
        if self._client is not None:
            return self._client
        probe(self.uri)
        load_mlflow(self.uri)
        import mlflow

        with self._creation():
            if self.database is not None:
                self._prepare(self.database)
            client = mlflow.MlflowClient(tracking_uri=completed(self.uri))
            client.get_experiment_by_name("Default")  # the first call opens or creates the tables
        self._client = client
        return client

    def log_model(self, run_id: str, folder: Path, step: int) -> None:
        """Upload a model's folder as an MLflow model of a run at a step; the model gets the folder's name."""
        from mlflow.entities import LoggedModelOutput

        client = self.client()
        experiment = client.get_run(run_id).info.experiment_id
        model = client.create_logged_model(experiment, folder.name, source_run_id=run_id)
        client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])

    def log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Add at most `batch` values to a run; existing values are kept.

        Raises:
            MlflowException, sqlite3.Error: the store does not accept them.
        """
        if self.database is not None:
            database.insert_metrics(self.database, run_id, metrics)
        else:
            self.client().log_batch(run_id, metrics=metrics)

    def _prepare(self, path: Path) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            database.prepare(path)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise _unusable(path, getattr(error, "orig", None) or error) from error

    def experiment(self, name: str) -> str:
        """The id of the experiment `name`, which is created if it does not exist.

        Raises:
            TrackingError: the experiment was deleted in MLflow.
        """
        client = self.client()
        with self._creation():
            found = client.get_experiment_by_name(name)
            if found is None:
                found = self._create(client, name)
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"the MLflow experiment {name!r} was deleted",
                where=shown(self.uri),
                mend="restore it in MLflow or give tracking.experiment another name",
            )
        return str(found.experiment_id)

    def _create(self, client: MlflowClient, name: str) -> Any:
        from mlflow.exceptions import MlflowException

        location = self.artifacts.as_uri() if self.artifacts else None
        kind = {"mlflow.experimentKind": "custom_model_development"}  # makes MLflow's UI show the pages for training
        try:
            return client.get_experiment(client.create_experiment(name, artifact_location=location, tags=kind))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process created it first
            if found is None:
                raise
            return found

    @contextmanager
    def _creation(self) -> Iterator[None]:
        """A lock for creating a database: processes that create the same database at once would break it."""
        if self.database is None:
            yield
            return
        lock = FileLock(f"{self.database}.lock", timeout=120)
        try:
            self.database.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except (OSError, Timeout) as error:
            raise _unusable(self.database, error) from error
        try:
            yield
        finally:
            lock.release()


def _unusable(path: Path, why: object) -> TrackingError:
    return TrackingError(
        "the MLflow store cannot be opened",
        where=path,
        why=why,
        mend="make it and its folder writable, or choose another store with --tracking-uri",
    )
