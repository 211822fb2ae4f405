"""Addresses of MLflow stores: which one a run uses, how it is created, whether it answers."""

from __future__ import annotations

import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock, Timeout

from gantk.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Store", "default_uri", "probe", "resolve_uri", "shown"]

#: Bounds of a request, unless the user set others; MLflow's own are minutes.
BOUNDS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
#: Research data stays at home, and MLflow's own lines stay out of the live display and of standard output.
MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def default_uri(runs: Path) -> str:
    """The SQLite store beside the runs, with an absolute path (a relative one would depend on the caller)."""
    return f"sqlite:///{(Path(runs).resolve() / 'mlflow.db').as_posix()}"


def resolve_uri(runs: Path, option: str | None = None, recipe: str | None = None) -> str:
    """The store of a run: the command's option, the recipe, `MLFLOW_TRACKING_URI`, or SQLite beside the runs.

    A relative SQLite path is taken from the working directory.
    """
    uri = option or recipe or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(runs)
    relative = re.fullmatch(r"(sqlite(?:\+\w+)?):///(?!/)(?![A-Za-z]:)(.+)", uri)
    if relative:
        return f"{relative[1]}:///{Path(relative[2]).resolve().as_posix()}"
    return uri


def shown(uri: str) -> str:
    """The address without user name and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))


def probe(uri: str, timeout: float = 3.0) -> None:
    """Ask an HTTP store for any answer; other stores pass.

    Raises:
        TrackingError: nothing answers within `timeout` seconds.
    """
    if not uri.startswith(("http://", "https://")):
        return
    request = urllib.request.Request(shown(uri).rstrip("/") + "/health")
    try:
        with urllib.request.urlopen(request, timeout=timeout):
            return
    except urllib.error.HTTPError:
        return  # refused or unknown, but somebody is there
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
        uri: as `resolve_uri` gives it.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._client: MlflowClient | None = None

    @property
    def database(self) -> Path | None:
        """The file of an SQLite store, None for another store."""
        match = re.fullmatch(r"sqlite(?:\+\w+)?:///(.+)", self.uri)
        return Path(match[1]) if match else None

    @property
    def artifacts(self) -> Path | None:
        """Where an SQLite store keeps artifacts: `mlartifacts` beside the database; else None."""
        return self.database.parent / "mlartifacts" if self.database else None

    def client(self) -> MlflowClient:
        """The client, after a probe of a server or the creation of a database (one process at a time).

        Raises:
            TrackingError: the store cannot be reached or created.
        """
        if self._client is not None:
            return self._client
        for name, value in {**BOUNDS, **MANNERS}.items():
            os.environ.setdefault(name, value)
        probe(self.uri)
        import mlflow

        for logger in ("alembic", "mlflow"):  # by hand too: MLflow may have been imported before
            logging.getLogger(logger).setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
        with self._creation():
            client = mlflow.MlflowClient(tracking_uri=self.uri)
            # the first call is what creates the tables
            client.get_experiment_by_name("Default")
        self._client = client
        return client

    def experiment(self, name: str) -> str:
        """The id of the experiment `name`, created where there is none.

        Raises:
            TrackingError: it was deleted in MLflow.
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
        kind = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's UI shows the pages for training
        try:
            return client.get_experiment(client.create_experiment(name, artifact_location=location, tags=kind))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise
            return found

    @contextmanager
    def _creation(self) -> Iterator[None]:
        """Processes that start together on an empty database break each other's creation: one goes first."""
        if self.database is None:
            yield
            return
        lock = FileLock(f"{self.database}.lock", timeout=120)
        try:
            self.database.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except (OSError, Timeout) as error:
            raise TrackingError(
                "the MLflow store cannot be opened",
                where=self.database,
                why=error,
                mend="make its folder writable, or choose another store with --tracking-uri",
            ) from error
        try:
            yield
        finally:
            lock.release()
