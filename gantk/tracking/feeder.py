"""Uploads to MLflow: a thread uploads data from the run folder during training; `sync` uploads it later."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gantk.errors import TrackingError, redact
from gantk.progress import Progress, QuietProgress
from gantk.recipe.model import TrackingSettings
from gantk.runs.files import RECIPE, is_run, warn_of_damage
from gantk.runs.names import TRACKING
from gantk.tracking.cursor import Cursor, Left
from gantk.tracking.feed import Feed, Stopped
from gantk.tracking.folder import RunFolder
from gantk.tracking.system import SystemWatch

__all__ = ["Feeder", "sync"]

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
#: Seconds that a store may take at the end before a note explains the wait: for a file, which may still have to be
#: created, and for any other store.
SILENT_FILE, SILENT_SERVER = 10.0, 2.0


class Feeder:
    """Uploads data from the run folder to MLflow in a daemon thread, which starts at construction.

    The run only writes its folder. A store that is down, slow or broken does not affect it: the thread retries after
    2, 4, … 60 s, and data missing at the end stay in the folder for `gantk sync`.

    Args:
        run_folder: the run's folder, which contains at least `recipe.toml`.
        settings: `[tracking]`; default: from the run's recipe.
        uri: the store, as given on the command line.
        on_note: called from the thread with a one-line note when the store fails or recovers.
        interval: seconds between two passes.
    """

    def __init__(
        self,
        run_folder: str | Path,
        settings: TrackingSettings | None = None,
        uri: str | None = None,
        on_note: Callable[[str], None] = lambda text: None,
        *,
        interval: float = 3.0,
    ) -> None:
        self.folder = RunFolder(run_folder)
        self.on_note = on_note
        self.interval = interval
        self._feed = Feed(self.folder, settings, uri, stop=lambda: self._abandoned.is_set())
        self._feed.remember()
        if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "").lower() in ("true", "1"):
            on_note("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING is ignored: set tracking.system_metrics = true")
        self._closing, self._abandoned = threading.Event(), threading.Event()
        self._state: str | None = None
        self._failing = False
        self._watch = SystemWatch(on_note)
        self._thread = threading.Thread(target=self._work, name="gantk-mlflow", daemon=True)
        self._thread.start()

    @property
    def uri(self) -> str:
        """The store's address, without credentials."""
        return str(self._feed)

    def begun(self, timeout: float) -> bool:
        """Wait until MLflow has the run, so that its children find it; False if this fails or takes too long."""
        ends = time.monotonic() + timeout
        while not (there := bool(Cursor.load(self.folder.path / TRACKING).run_id)):
            if self._failing or not self._thread.is_alive() or time.monotonic() > ends:
                break
            time.sleep(0.05)
        return there

    def close(self, timeout: float = 30.0, state: str | None = None) -> Left | None:
        """Let the thread upload the remaining data, for at most `timeout` seconds (5 if the store already fails).

        Call it when `status.json` has the run's final state, or pass this as `state` (MLflow's FINISHED, FAILED,
        KILLED). Data that could not be uploaded is returned, and a note names the command that uploads it.
        """
        self._state = state
        self._closing.set()
        began = time.monotonic()
        silent = SILENT_FILE if self._feed.store.database else SILENT_SERVER
        while self._thread.is_alive() and not self._failing and time.monotonic() - began < min(silent, timeout):
            self._thread.join(0.1)
        if self._thread.is_alive() and timeout > silent and not self._failing:
            self.on_note(f"waiting at most {timeout:.0f} s for MLflow at {self.uri} to receive the remaining data")
        while self._thread.is_alive() and time.monotonic() - began < (min(timeout, 5.0) if self._failing else timeout):
            self._thread.join(0.1)
        done = not self._thread.is_alive() and not self._failing
        self._abandoned.set()
        if done:
            return None
        try:
            left = self._feed.left(state)
        except Exception as error:  # a damaged journal must not break the end of a run
            self.on_note(f"the run's data in MLflow is incomplete: {_reason(error)}")
            return None
        self.on_note(f"{left} are not yet in MLflow; upload them with:\n  gantk sync {self.folder.path}")
        return left

    def __enter__(self) -> Feeder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        pause = 0.0
        while True:
            closing = self._closing.wait(pause)
            try:
                with self._feed:
                    # held until the run ends: a second feeder would send data twice
                    while True:
                        if closing:
                            self._watch.end()
                        self._feed.feed(state=self._state if closing else "RUNNING")
                        self._succeeded()
                        if closing:
                            return
                        closing = self._closing.wait(self.interval)
            except Stopped:
                return
            except Exception as error:  # training continues whatever MLflow raises
                self._failed(error)
                self._feed.renew()
                pause = min(max(FIRST_PAUSE, pause * 2), LONGEST_PAUSE)
                if closing:
                    return

    def _failed(self, error: Exception) -> None:
        if not self._failing and not self._abandoned.is_set():
            self.on_note(f"MLflow at {self.uri} is not available, so the run continues without it: {_reason(error)}")
        self._failing = True

    def _succeeded(self) -> None:
        if self._feed.settings.system_metrics and not self._closing.is_set():
            self._watch.begin(self._feed.cursor.run_id, self._feed.store.uri)
        if self._failing:
            self._failing = False
            self.on_note(f"MLflow at {self.uri} is available again and has all data so far")


def sync(run_folder: str | Path, uri: str | None = None, progress: Progress | None = None) -> dict[str, int | str]:
    """Upload run data that MLflow does not have yet; return counts, the store and the id of the run in MLflow.

    Raises:
        TrackingError: the folder is not a run, the store cannot be reached, or another process uploads the run.
    """
    folder = RunFolder(run_folder)
    if not is_run(folder.path):
        raise TrackingError("this is not a run folder", where=folder.path, why=f"it has no {RECIPE}")
    warn_of_damage(folder.path)
    feed = Feed(folder, uri=uri)
    with feed:
        try:
            feed.begin()
            left = feed.left()
            total = left.metrics + left.panels + left.files
            with (progress or QuietProgress()).task(f"Uploading {folder.id} to MLflow", total) as bar:
                feed.advance = bar.advance
                feed.feed()
        except TrackingError:
            raise
        except Exception as error:
            raise TrackingError(
                f"the run {folder.id} could not be uploaded to MLflow",
                where=str(feed),
                why=_reason(error),
                mend="run the same command again to upload the rest",
            ) from error
    return {
        "metrics": left.metrics,
        "panels": left.panels,
        "files": left.files,
        "uri": str(feed),
        "run_id": feed.cursor.run_id,
    }


def _reason(error: Exception) -> str:
    """The first line of an error, without its tail of nested causes."""
    text = str(error).strip() or type(error).__name__
    return redact(text.splitlines()[0])[:300]
