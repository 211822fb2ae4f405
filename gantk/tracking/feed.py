"""Upload the data of a run's folder that its MLflow run does not have yet, one piece at a time."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from gantk.errors import TrackingError
from gantk.files import write_text
from gantk.recipe.model import TrackingSettings
from gantk.runs.names import JOURNAL, MODEL, TABLE, TRACKING
from gantk.tracking.cursor import Cursor, Left
from gantk.tracking.entities import dataset_inputs, image_files, last_step, result_metrics
from gantk.tracking.folder import RunFolder, milliseconds
from gantk.tracking.journal import Tail
from gantk.tracking.names import child_name, run_name, user_name
from gantk.tracking.pace import Pace, with_pace
from gantk.tracking.pending import Pending
from gantk.tracking.store import Store, resolve_uri

if TYPE_CHECKING:
    from mlflow.entities import Metric

__all__ = ["Feed", "Stopped"]

#: MLflow's limit per call.
PARAMETERS_PER_CALL = 100
#: Number of lines of the journal to read at once.
LINES = 100


class Stopped(Exception):
    """The upload was stopped between two pieces."""


class Feed:
    """The upload of one run; a context manager that excludes other processes from uploading the same run.

    Every piece can be sent again without being duplicated: metrics carry the journal's times, files and panels keep
    their names, and the cursor is written after each piece.

    Args:
        folder: the run folder.
        settings: `[tracking]`; default: from the run's recipe.
        uri: the store; default: the store of earlier uploads, else the result of `resolve_uri`.
        stop: called between two pieces; if it returns true, the upload ends with `Stopped`.

    Attributes:
        advance: called with the number of finished pieces.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: TrackingSettings | None = None,
        uri: str | None = None,
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder = folder
        self.settings = settings or TrackingSettings.model_validate(dict(folder.tracking))
        self.stop = stop
        self.advance: Callable[[int], None] = lambda n: None
        self._path = folder.path / TRACKING
        self._tail = Tail(folder.path / JOURNAL)
        self._pace = Pace()
        self._lock = FileLock(str(folder.path / ".tracking.lock"))
        self._told_tags: dict[str, str] = {}
        self._adopted = False
        self.cursor = Cursor.load(self._path)
        asked = (self.cursor.uri or None) if uri is None else uri
        address = resolve_uri(folder.runs, asked, self.settings.uri)
        self.store = Store(address)
        if self.cursor.uri != address:
            self.cursor = self._empty()

    def _empty(self) -> Cursor:
        """A cursor for a store without data of the run; the experiment is the run's first one."""
        asked = self.settings.experiment or self.cursor.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        return Cursor(uri=self.store.uri, experiment=asked or "gantk")

    def remember(self) -> None:
        """Write the store's address to the folder before its first response, so that `sync` uses no other store."""
        if Cursor.load(self._path).uri != self.store.uri:
            self._save()

    def __enter__(self) -> Feed:
        try:
            self._lock.acquire(timeout=1)
        except Timeout as error:
            raise TrackingError(
                "another process is uploading this run to MLflow",
                where=self.folder.path,
                mend="wait until it ends, then try again",
            ) from error
        except OSError as error:
            raise TrackingError(
                "the run's folder, where gantk records uploads to MLflow, cannot be written",
                where=self.folder.path,
                why=error,
                mend="correct its permissions, or copy the folder",
            ) from error
        self.cursor = Cursor.load(self._path)
        if self.cursor.uri != self.store.uri:
            self.cursor = self._empty()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def feed(self, *, state: str | None = None) -> None:
        """Upload all missing data; `state` (default: from `status.json`) is the final state in MLflow.

        Raises:
            TrackingError, MlflowException, OSError: the store fails; data sent so far are recorded.
            Stopped: `stop` returned true.
        """
        state = state or self.folder.state
        try:
            self.begin()
            self._describe()
            self._metrics(ended=state != "RUNNING")
            self._panels()
            self._files(ended=state != "RUNNING")
            self._tell(state)
            self._model(ended=state != "RUNNING")
        except BaseException:
            self._tail.back()
            self._pace = Pace()
            raise

    def renew(self) -> None:
        """Forget the connection, so that the next pass first checks that the store responds."""
        self.store = Store(self.store.uri)

    def left(self, state: str | None = None) -> Left:
        """Count the data that `feed` would send now, without asking MLflow; `begin` checks its run."""
        return self._pending.left((state or self.folder.state) != "RUNNING")

    # -- the run ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Find or create the MLflow run. Raises as `feed` does."""
        from mlflow.exceptions import MlflowException

        client = self.store.client()
        if self._adopted:
            return
        if self.cursor.run_id:
            try:
                if client.get_run(self.cursor.run_id).info.lifecycle_stage != "active":
                    self.cursor = self._empty()
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                self.cursor = self._empty()  # the store was deleted: upload everything again
        if not self.cursor.run_id:
            experiment = self.store.experiment(self.cursor.experiment or self._empty().experiment)
            # find a run whose creation timed out, so that it is not created twice
            found: list[Any] = client.search_runs(
                [experiment], f"tags.`gantk.run` = '{self.folder.id}'", max_results=100
            )
            if self.folder.is_sweep or self.folder.parent:  # other folders may have the same ids
                found = [run for run in found if run.data.tags.get("gantk.folder") == str(self.folder.path)]
            if found:
                self.cursor.run_id = found[0].info.run_id
                self.cursor.unsure = True
            else:
                started = milliseconds(self.folder.status().get("started"))
                tags = {"mlflow.user": user_name(), **self.folder.tags()}
                run = client.create_run(experiment, started, tags, run_name=self._name())
                self.cursor.run_id = run.info.run_id
                self.cursor.status = "RUNNING"
            self._save()
        if self.cursor.unsure:
            self._ask_steps()
        self._adopted = True

    @property
    def _pending(self) -> Pending:
        return Pending(self.folder, self.settings, self.cursor)

    def _name(self) -> str:
        """The run's name; MLflow's environment variable names a run started by the user, not a sweep's children."""
        if self.folder.parent is not None:
            return child_name(self.folder)
        return os.environ.get("MLFLOW_RUN_NAME") or run_name(self.folder.id)

    def _ask_steps(self) -> None:
        """Ask MLflow which metrics it has, if the cursor does not know."""
        latest = self.store.client().get_run(self.cursor.run_id).data.to_proto().metrics
        self.cursor.steps |= {metric.key: metric.step for metric in latest}
        self.cursor.unsure = False
        self._save()

    def _describe(self) -> None:
        """Send parameters, tags and the data set, each once and as soon as the folder has it."""
        from mlflow.entities import Param, RunTag

        client, run_id = self.store.client(), self.cursor.run_id
        tags = self.folder.tags()
        new = [RunTag(name, value) for name, value in tags.items() if self._told_tags.get(name) != value]
        if new:
            client.log_batch(run_id, tags=new)
            self._told_tags = tags
        parameters = self.folder.parameters()
        if parameters and not self.cursor.parameters:
            for some in _chunks(parameters.items(), PARAMETERS_PER_CALL):
                client.log_batch(run_id, params=[Param(name, value) for name, value in some])
            self.cursor.parameters = True
            self._save()
        dataset = self.folder.dataset()
        if dataset and self.cursor.dataset != dataset[1]:
            client.log_inputs(run_id, list(dataset_inputs(self.folder, *dataset)))
            self.cursor.dataset = dataset[1]
            self._save()

    def _tell(self, state: str) -> None:
        """Send the state of the run if it has changed (a resumed run is running again)."""
        if state == self.cursor.status:
            return
        client, run_id = self.store.client(), self.cursor.run_id
        if state == "RUNNING":
            client.update_run(run_id, status=state)
        else:
            client.set_terminated(run_id, state, milliseconds(self.folder.status().get("updated")))
        self.cursor.status = state
        self._save()

    # -- metrics ------------------------------------------------------------------------------------------

    def _metrics(self, ended: bool) -> None:
        for some in _chunks(self._unsent(ended), self.store.batch):
            self._go_on()
            self.cursor.unsure = True
            self._save()
            self.store.log_metrics(self.cursor.run_id, some)
            self.cursor.steps.update({metric.key: metric.step for metric in some})
            self.cursor.unsure = False
            self._save()
            self.advance(len(some))

    def _unsent(self, ended: bool) -> Iterator[Metric]:
        """The journal's new values, one at a time because there may be millions."""
        from mlflow.entities import Metric

        gained = (record for records in iter(lambda: self._tail.read(LINES), []) for record in records)
        for record in with_pace(gained, self._pace, ended):
            for name, value in self._pending.metrics(record):
                yield Metric(name, value, int(record["time"] * 1000), record["step"])

    # -- pictures and files -------------------------------------------------------------------------------

    def _panels(self) -> None:
        client = self.store.client()
        for panel in list(self._pending.panels()):
            self._go_on()
            with tempfile.TemporaryDirectory(prefix="gantk-") as folder:
                for path in image_files(panel, self.cursor.run_id, Path(folder)):
                    client.log_artifact(self.cursor.run_id, str(path), "images")
            client.set_tag(self.cursor.run_id, "mlflow.loggedImages", "True")
            self.cursor.panels.append(panel.name)
            self._save()
            self.advance(1)

    def _files(self, ended: bool) -> None:
        client = self.store.client()
        for name, path, signature in list(self._pending.files(ended)):
            self._go_on()
            if name in ("evaluation/summary.json", TABLE):
                self._results(path)
            below = Path(name).parent.as_posix()
            client.log_artifact(self.cursor.run_id, str(path), None if below == "." else below)
            self.cursor.files[name] = signature
            self._save()
            self.advance(1)

    def _results(self, path: Path) -> None:
        """Send the test results, with the time of their file."""
        former = self.store.client().get_run(self.cursor.run_id).data.metrics
        metrics = result_metrics(self.folder, int(path.stat().st_mtime * 1000), former)
        for some in _chunks(metrics, self.store.batch):
            self.store.log_metrics(self.cursor.run_id, some)

    def _model(self, ended: bool) -> None:
        """Send the run's model as an MLflow model."""
        new = self._pending.model(ended)
        if not new:
            return
        self._go_on()
        self.store.log_model(self.cursor.run_id, self.folder.path / MODEL, last_step(self.folder))
        self.cursor.model = new
        self._save()
        self.advance(1)

    def _go_on(self) -> None:
        if self.stop():
            raise Stopped

    def _save(self) -> None:
        write_text(self._path, self.cursor.to_json())

    def __str__(self) -> str:
        return self.store.uri


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some
