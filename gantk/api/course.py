"""The course of one run, from its current state to its report."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantk.api.assessment import assess, cohort_metrics
from gantk.api.cohort import Cohort, check_same_data, check_same_split
from gantk.api.display import Display
from gantk.api.recorder import Recorder
from gantk.api.result import RunResult
from gantk.api.signals import StopSignals
from gantk.api.validation import Validation
from gantk.errors import GantkError, Interrupted, RecipeError, TrainingError
from gantk.evaluation.protocols import AnyMetric
from gantk.files import sweep_partial, write_text
from gantk.memory import enough_memory
from gantk.plugins import Session
from gantk.progress import Progress, QuietProgress
from gantk.recipe import Recipe, dump_recipe
from gantk.runs.files import ENVIRONMENT, JOURNAL, RunFiles
from gantk.runs.folders import Status, spoken
from gantk.runs.names import CHECKPOINTS
from gantk.tracking.environment import environment
from gantk.tracking.feeder import Feeder
from gantk.tracking.journal import Journal
from gantk.training.best import Best, evaluated_checkpoint
from gantk.training.checkpoint import newest_checkpoint, restore
from gantk.training.engine import Engine, Observer
from gantk.training.forecast import step_cost
from gantk.training.scheduler import Stage
from gantk.training.state import TrainingState
from gantk.training.world import World


@dataclass(eq=False)
class Course:
    """The course of one run: train, evaluate and report, keeping the state on disk and in MLflow up to date."""

    folder: Path
    recipe: Recipe
    session: Session
    cohort: Cohort
    state: TrainingState
    display: Display
    signals: StopSignals
    processes: World

    def __post_init__(self) -> None:
        self.status = Status(self.folder)
        self.journal = Journal(self.folder / JOURNAL)
        self.began = time.time()
        self.spent_before = float(self.status.facts.get("seconds", 0.0))

    def restore(self) -> None:
        """Bring the state to the last checkpoint, if there is one; a run that cannot continue is left unchanged.

        Raises:
            DataError: the data has changed since then.
            CheckpointError: it is damaged.
        """
        check_same_split(self.cohort.split, RunFiles(self.folder))
        checkpoint = newest_checkpoint(self.folder / CHECKPOINTS)
        if checkpoint is not None:
            check_same_data(self.cohort, checkpoint.facts.get("data"), self.folder)
            restore(self.state, checkpoint)
            before = checkpoint.facts.get("processes", 1)
            if before != self.processes.size:
                self.display.note(
                    f"The run had {before} processes so far, and continues with {self.processes.size}: "
                    "its results are no longer identical to the last bit"
                )

    def carry_out(self, tracking_uri: str | None) -> RunResult:
        """Train, evaluate and report from the current state.

        Raises:
            Interrupted: a signal stopped the run; its state is saved.
            GantkError: any problem that the user can fix.
        """
        feeder = None
        hook = self.session.hook
        facts = {"folder": self.folder, "recipe": self.recipe}
        try:
            self._take_up()
            if self.recipe.tracking.enabled:
                feeder = Feeder(self.folder, self.recipe.tracking, tracking_uri, self.display.note)
            hook.before_run(**facts)
            self._train_and_tell()
            summary = self._evaluate()
            hook.after_run(**facts, summary=summary)
        except KeyboardInterrupt:
            self._ended("interrupted", "interrupted")
            hook.on_run_error(**facts, error=KeyboardInterrupt())
            raise Interrupted(
                "the run was interrupted", where=self.folder, mend="continue with", command=self._resume
            ) from None
        except Interrupted as error:
            self._ended("interrupted", str(error))
            hook.on_run_error(**facts, error=error)
            raise Interrupted(error.what, where=self.folder, mend="continue with", command=self._resume) from None
        except BaseException as error:
            self._ended("failed", str(error))
            hook.on_run_error(**facts, error=error)
            if isinstance(error, OSError):
                raise self._unwritable(error) from error
            raise
        else:
            from gantk.report.html import write_report  # matplotlib takes a second to import

            self._ended("finished", "")
            report = write_report(self.folder)
            self._write_model()
            return RunResult(self.folder, "finished", summary, report)
        finally:
            self.signals.over &= self.processes.size > 1  # torchrun's signal does not replace the reason
            self.journal.close()
            if feeder is not None:
                feeder.close()

    def _write_model(self) -> None:
        """Write the model for MLflow if the recipe requests it; a failure does not stop the run."""
        if not (self.recipe.tracking.enabled and self.recipe.tracking.model):
            return
        from gantk.api.mlflow_model import write_model

        try:
            write_model(self.folder, self.display.progress)
        except GantkError as error:
            self.display.note(f"no model of this run is logged in MLflow: {error}")

    @property
    def _resume(self) -> str:
        together = f" --processes {self.processes.size}" if self.processes.size > 1 else ""
        return f"gantk run --resume {spoken(self.folder)}{together}"

    def _unwritable(self, error: OSError) -> TrainingError:
        return TrainingError(
            "a file of the run cannot be read or written",
            where=error.filename or self.folder,
            why=error,
            mend="free disk space or correct the permissions, then go on with",
            command=self._resume,
        )

    def _take_up(self) -> None:
        """Bring the folder in line with the state, and mark the run as running."""
        for part in (self.folder, *filter(Path.is_dir, self.folder.rglob("*"))):
            sweep_partial(part, older_than=0)  # left by a killed process: no other process uses the folder
        RunFiles(self.folder).mend(self.cohort.split)
        self.journal.rewind(self.state.position.total - 1)
        self.environment = environment(self.session.plugins) | {
            "device": str(self.state.device),
            "processes": self.processes.size,
            "precision": self.recipe.run.precision,
        }
        write_text(self.folder / ENVIRONMENT, json.dumps(self.environment, indent=1) + "\n")
        self.status.update(
            state="running",
            recipe=self.recipe.name,
            id=self.folder.name,
            split=self.cohort.split.hash,
            step=self.state.position.total,
            started=self.status.facts.get("started", self.began),
            message="",
        )

    def accompany(self) -> None:
        """Train and evaluate in a process other than the first; only the first one writes. Raises as `carry_out`
        does."""
        self._train(self._engine(Observer(), {}, None, self._metrics(QuietProgress())))
        self._evaluate()

    def _train_and_tell(self) -> None:
        recorder = Recorder(self.folder, self.recipe, self.session, self.journal, self.status, self.display)
        metrics = self._metrics(self.display.progress)
        facts = checkpoint_facts(self.recipe, self.cohort, self.environment["plugins"], self.processes.size)
        engine = self._engine(recorder, facts, self._best(metrics), metrics)
        self.display.begin(
            {
                "recipe": self.recipe.name,
                "run": self.folder.name,
                "device": str(self.state.device),
                "stages": self._stages(engine),
                "metrics": {name: {"higher_is_better": m.higher_is_better} for name, m in metrics.items()},
            }
        )
        ended = "failed"
        try:
            self._train(engine)
            ended = "finished"
        except Interrupted:
            ended = "interrupted"
            raise
        finally:
            self.display.end(ended)

    def _stages(self, engine: Engine) -> list[dict[str, Any]]:
        """The stages as the display receives them."""
        seconds = self._seconds(engine.stages[self.state.position.stage :])
        return [
            {
                "name": stage.name,
                "epochs": stage.epochs,
                "roles": list(stage.roles),
                "steps per epoch": engine.steps_per_epoch(stage),
                "seconds per step": seconds.get(stage.name),
            }
            for stage in engine.stages
        ]

    def _seconds(self, left: Sequence[Stage]) -> dict[str, float]:
        """Seconds of a step of each stage, if several are left, because stages that train other roles differ; empty if
        a step fails, which is left to the training to say, and with several processes, which would have to take the
        steps together."""
        found: dict[str, float] = {}
        if len(left) > 1 and self.processes.size == 1:
            try:
                with self.display.progress.task("Measuring the steps of each stage", len(left)) as bar:
                    for stage in left:
                        cost = step_cost(self.recipe, self.state.assembly, stage, self.state.device)
                        found[stage.name] = cost.seconds
                        bar.advance()
            except GantkError:
                return {}
        return found

    def _metrics(self, progress: Progress) -> dict[str, AnyMetric]:
        return cohort_metrics(self.recipe, self.session.registry, self.cohort, progress)

    def _engine(
        self, observer: Observer, facts: Mapping[str, Any], best: Best | None, metrics: Mapping[str, AnyMetric]
    ) -> Engine:
        validation = Validation(self.state, self.cohort, metrics, self.folder, self.processes)
        engine = Engine(
            self.recipe,
            self.state,
            self.cohort.loader,
            self.folder,
            facts,
            observer,
            validation,
            lambda: self.signals.asked,
            best,
            self.processes,
        )
        if self.state.position.total == 0:
            first = engine.stages[0]
            validation.begin(self.state.assembly.plan(first.name, first.roles))
        return engine

    def _train(self, engine: Engine) -> None:
        self.signals.training = True
        try:
            with self.processes.heard(), enough_memory("to train", "data.batch, data.crop or the networks' channels"):
                engine.run()
        except BaseException:
            self.signals.over = self.processes.size > 1  # torchrun stops all processes as soon as one has ended
            raise
        finally:
            self.signals.training = False

    def _best(self, metrics: Mapping[str, AnyMetric]) -> Best | None:
        """The keeper of the best epoch's checkpoint, if the recipe asks for it."""
        key = self.recipe.best_metric
        if key is None:
            return None
        name = key.rpartition("/")[2]
        if name not in metrics:
            raise RecipeError(
                f"the metric {name!r} is monitored, but it is left out",
                where="training.keep_best.metric",
                why=f"{', '.join(self.recipe.measured)} has no absolute unit",
                mend="monitor another metric, or set data.intensities.NAME.range",
            )
        return Best(self.folder / "checkpoints", key, metrics[name].higher_is_better)

    def _evaluate(self) -> dict[str, Any]:
        metrics = self._metrics(QuietProgress())
        with self.processes.heard():
            self.processes.wait()  # until the first one has written the last checkpoint
            checkpoint = evaluated_checkpoint(self.folder / "checkpoints", self.recipe.evaluation.checkpoint)
            if checkpoint is not None and checkpoint.position != self.state.position:
                restore(self.state, checkpoint)
            progress = self.display.progress
            evaluation = assess(self.state, self.cohort, metrics, self.folder, progress, self.processes)
        return evaluation.to_dict() if evaluation.rows else {}

    def _ended(self, state: str, message: str) -> None:
        self.signals.over = state != "finished"
        seconds = self.spent_before + time.time() - self.began
        with suppress(OSError):  # whatever the full disk stopped reports it
            self.status.update(state=state, message=message, seconds=seconds)


def checkpoint_facts(recipe: Recipe, cohort: Cohort, plugins: object, processes: int) -> dict[str, Any]:
    """The data that a prediction needs besides the weights."""
    return {
        "recipe": dump_recipe(recipe),
        "plugins": plugins,
        "data": cohort.fingerprint,
        "split": {"hash": cohort.split.hash, **cohort.split.to_dict()},
        "meaning": cohort.meaning.to_dict(),
        "processes": processes,
    }
