"""A run from its recipe to its report."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gantk.api.assessment import assess, cohort_metrics
from gantk.api.checks import build, look, make_scheduler
from gantk.api.cohort import Cohort, check_same_data, check_same_split, prepare_cohort
from gantk.api.display import Display, Quiet
from gantk.api.export import check_packages
from gantk.api.extension import Extension, extended_recipe
from gantk.api.notebook import notebook_display, show
from gantk.api.preflight import check_out
from gantk.api.recorder import Beside, Recorder
from gantk.api.signals import StopSignals
from gantk.api.sources import find_sources, start_from, with_sources
from gantk.api.validation import Validation
from gantk.errors import GantkError, Interrupted, RecipeError, TrainingError, UsageError
from gantk.evaluation.metrics import AnyMetric
from gantk.files import sweep_partial, write_text
from gantk.memory import enough_memory
from gantk.plugins import Session, load_plugins
from gantk.plugins.absent import made_with
from gantk.progress import Progress, QuietProgress
from gantk.recipe import Recipe, dump_recipe, load_recipe, recipe_from_table
from gantk.recipe.data import DataSettings
from gantk.recipe.load import Changes, Given, said_of
from gantk.recipe.variants import is_sweep
from gantk.runs.files import ENVIRONMENT, JOURNAL, RECIPE, RunFiles, missing_settings, warn_of_damage
from gantk.runs.folders import RUNS, Status, make_run_folder, recipe_of, resolve_run, spoken
from gantk.runs.lock import alone
from gantk.runs.names import CHECKPOINTS
from gantk.tracking.environment import environment
from gantk.tracking.feeder import Feeder
from gantk.tracking.journal import Journal
from gantk.tracking.store import check_uri
from gantk.training.best import Best, evaluated_checkpoint
from gantk.training.checkpoint import newest_checkpoint, restore, save_checkpoint
from gantk.training.engine import Engine, Observer
from gantk.training.state import TrainingState
from gantk.training.world import World, world


@dataclass(frozen=True)
class RunResult:
    """A finished run: its folder, its evaluation's summary (as in `evaluation/summary.json`) and its report."""

    folder: Path
    state: str
    summary: dict[str, Any] = field(repr=False)
    report: Path = field(repr=False)

    def _repr_html_(self) -> str:
        """The run in a notebook: its table and slices with every role's output."""
        from gantk.report.notebook import run_html

        return run_html(self.folder)

    def show(self) -> None:
        """Show the run: in a notebook its table and slices, elsewhere its table as text."""
        show(self)


def run(
    path: Given | None = None,
    overrides: Changes = (),
    *,
    resume: str | Path | None = None,
    extend: Changes = (),
    device: str = "auto",
    out: Path | None = None,
    progress: Progress | None = None,
    tracking_uri: str | None = None,
    display: Display | None = None,
) -> RunResult:
    """Run a recipe: train, evaluate, track and report; or resume a run.

    Under `torchrun` its processes train the run together, and the first of them alone evaluates, tracks and reports.

    Args:
        path: the recipe: its file, the name of one that comes with gantk, or its content; left out when resuming.
        overrides: `key.of.table=value`, or values by dotted key, laid over the recipe.
        resume: a run (folder or id) to go on with, exactly where its last checkpoint is.
        extend: changes of the schedule, `schedule.epochs=300`: a new run begins where `resume` is, which stays.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        out: the folder in which the run's folder is made; `./runs` where absent.
        progress: shows the work; a rich display or plain lines where absent.
        tracking_uri: MLflow's address, above the recipe's.
        display: draws the training; where absent a line that moves in a notebook, and nothing elsewhere.

    Raises:
        Interrupted: a signal stopped the run; its state is saved.
        GantkError: anything that the user can mend.
    """
    with world(device) as processes:
        drawn = display or notebook_display(progress) or Quiet(progress)
        return _run_on(processes, path, overrides, resume, extend, out, tracking_uri, drawn)


def _run_on(
    processes: World,
    path: Given | None,
    overrides: Changes,
    resume: str | Path | None,
    extend: Changes,
    out: Path | None,
    tracking_uri: str | None,
    display: Display,
) -> RunResult:
    if not processes.first:
        display = Quiet(QuietProgress())
    session = load_plugins()
    parent = None
    if resume is None:
        if path is None:
            raise UsageError("nothing to run", mend="name a recipe, or a run with --resume")
        if is_sweep(path):
            raise UsageError(
                "this recipe describes several runs", where=said_of(path), mend="run it with gantk.run_sweep"
            )
        if extend:
            raise UsageError("there is no run to extend", where="--extend", mend="name it with --resume")
        recipe = load_recipe(path, overrides)
        folder = None
        if recipe.parent is not None:
            raise RecipeError(
                f"this recipe is that of a run that went on from {recipe.parent.run}",
                where="parent",
                mend="go on from that run in the same way, or take [parent] out of the recipe to start from nothing",
                command=f"gantk run --resume {recipe.parent.run} --extend schedule.KEY=VALUE",
            )
    else:
        folder = resolve_run(resume, out)
        warn_of_damage(folder)
        recipe = _resumed_recipe(folder, path, overrides)
        if extend:
            parent, folder = folder, None
            recipe = extended_recipe(parent, extend)
    sources = find_sources(recipe, out) if resume is None else {}
    recipe = with_sources(recipe, sources)
    tracking_uri = check_uri(recipe.tracking, tracking_uri, folder)
    if recipe.tracking.enabled and recipe.tracking.model:
        check_packages()
    with StopSignals() as signals:
        before = folder or parent
        with made_with([] if before is None else RunFiles(before).plugins, session):
            assembly, scheduler = build(recipe, session.registry)
        if folder is None:
            check_out(out, assembly, recipe.training.keep_checkpoints + (recipe.training.keep_best is not None))
        with processes.in_turn():
            listing = look(recipe, session.registry, assembly, scheduler, display.progress)
            cohort = prepare_cohort(recipe, listing, display.progress)
        for stage in scheduler.stages(recipe.learning):  # before anything is written
            groups = assembly.plan(stage.name, stage.roles).groups
            cohort.loader.steps(groups)
            processes.check(recipe.data.batch, groups)
        with enough_memory(f"on {processes.device} for the networks", "their channels, blocks or pools"):
            state = TrainingState(recipe, assembly, scheduler, processes.device)
        for note in start_from(state, sources):
            display.progress.note(note)
        fill = None if parent is None else _extended(parent, state, cohort, session, display, processes.size)
        if folder is None:
            folder = processes.told(lambda: _begin(recipe, cohort, out, fill))
        with alone(folder) if processes.first else nullcontext():
            work = _Run(folder, recipe, session, cohort, state, display, signals, processes)
            work.restore()
            if not processes.first:
                work.accompany()
            return processes.told(lambda: work.carry_out(tracking_uri))


def _resumed_recipe(folder: Path, path: Given | None, overrides: Changes) -> Recipe:
    recipe = recipe_of(folder)
    files = RunFiles(folder)
    if not files.checkpoint and (lacking := missing_settings(files.recipe(), dump_recipe(recipe))):
        raise RecipeError(
            f"the run's recipe is truncated: {lacking[0]!r} is missing",
            where=folder / RECIPE,
            why="the run has no checkpoint to take it from",
            mend="bring it back from a copy, or start a new run: nothing was trained yet",
        )
    given = recipe_of(folder, overrides) if path is None else load_recipe(path, overrides)
    if dump_recipe(given) != dump_recipe(recipe):
        raise _another_recipe(folder, f"resume with `gantk run --resume {spoken(folder)}` alone, or start a new run")
    if files.checkpoint and _trained(recipe) != _trained(recipe_from_table(tomllib.loads(files.checkpoint["recipe"]))):
        raise _another_recipe(
            folder / RECIPE, "undo the change (the checkpoint's checkpoint.json holds the recipe), or start a new run"
        )
    return recipe


def _trained(recipe: Recipe) -> dict[str, Any]:
    """What the weights depend on in a recipe; whether the data is the same is seen in the data, wherever it lies."""
    table = recipe.model_dump(exclude={"description", "predict", "evaluation", "tracking"})
    return table | {"data": {key: value for key, value in table["data"].items() if key in DataSettings.model_fields}}


def _another_recipe(where: Path, mend: str) -> UsageError:
    return UsageError(
        "the recipe is not the one that this run began with",
        where=where,
        why="a resumed run must give what the uninterrupted one would have given",
        mend=mend,
    )


def _extended(
    parent: Path, state: TrainingState, cohort: Cohort, session: Session, display: Display, processes: int
) -> Callable[[Path], None]:
    """Bring a state to where another run is; what then fills the new run's folder.

    Raises:
        UsageError: the schedule does not go on there.
        DataError: the data is not that of the run.
        CheckpointError: its checkpoint is damaged.
    """
    before = make_scheduler(recipe_of(parent), session.registry)
    extension = Extension(parent, before, state.scheduler, state.recipe.learning)
    checkpoint = extension.checkpoint
    check_same_split(cohort.split, RunFiles(parent))
    check_same_data(cohort, checkpoint.facts.get("data"), parent)
    restore(state, checkpoint, extension.position)
    for note in extension.notes():
        display.progress.note(note)
    facts = _checkpoint_facts(state.recipe, cohort, environment(session.plugins)["plugins"], processes)
    return extension.fill(lambda folder: save_checkpoint(folder, state, facts, keep=1))


def _begin(recipe: Recipe, cohort: Cohort, out: Path | None, fill: Callable[[Path], None] | None) -> Path:
    """A new run's folder, with what resuming needs; none where it cannot be written."""
    try:
        return make_run_folder(recipe.name, dump_recipe(recipe), cohort.split, out, fill or (lambda _: None))
    except OSError as error:
        raise UsageError(
            "the run's folder cannot be made",
            where=out or RUNS,
            why=error,
            mend="give another place with --out",
        ) from error


def _checkpoint_facts(recipe: Recipe, cohort: Cohort, plugins: object, processes: int) -> dict[str, Any]:
    """What a prediction needs besides the weights."""
    return {
        "recipe": dump_recipe(recipe),
        "plugins": plugins,
        "data": cohort.fingerprint,
        "split": {"hash": cohort.split.hash, **cohort.split.to_dict()},
        "meaning": cohort.meaning.to_dict(),
        "processes": processes,
    }


class _Run:
    """One run's course: train, evaluate, report, with its state on disk and in MLflow at every turn."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        session: Session,
        cohort: Cohort,
        state: TrainingState,
        display: Display,
        signals: StopSignals,
        processes: World,
    ) -> None:
        self.processes = processes
        self.folder = folder
        self.recipe = recipe
        self.session = session
        self.cohort = cohort
        self.state = state
        self.display = display
        self.signals = signals
        self.status = Status(folder)
        self.journal = Journal(folder / JOURNAL)
        self.began = time.time()
        self.spent_before = float(self.status.facts.get("seconds", 0.0))

    def restore(self) -> None:
        """Bring the state to the last checkpoint, where there is one; a run that cannot go on stays as it is.

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
                    f"The run had {before} processes until now, and goes on with {self.processes.size}: "
                    "what it gives is no longer the same to the last bit"
                )

    def carry_out(self, tracking_uri: str | None) -> RunResult:
        """Train, evaluate and report from where the state is.

        Raises:
            Interrupted: a signal stopped the run; its state is saved.
            GantkError: anything that the user can mend.
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
                "the run was interrupted", where=self.folder, mend="go on with", command=self._resume
            ) from None
        except Interrupted as error:
            self._ended("interrupted", str(error))
            hook.on_run_error(**facts, error=error)
            raise Interrupted(error.what, where=self.folder, mend="go on with", command=self._resume) from None
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
            self.signals.over = False
            self.journal.close()
            if feeder is not None:
                feeder.close()

    def _write_model(self) -> None:
        """The model for MLflow, where the recipe asks for one; a run without it is finished all the same."""
        if not (self.recipe.tracking.enabled and self.recipe.tracking.model):
            return
        from gantk.api.mlflow_model import write_model

        try:
            write_model(self.folder, self.display.progress)
        except GantkError as error:
            self.display.note(f"MLflow gets no model of this run: {error}")

    @property
    def _resume(self) -> str:
        together = f" --processes {self.processes.size}" if self.processes.size > 1 else ""
        return f"gantk run --resume {spoken(self.folder)}{together}"

    def _unwritable(self, error: OSError) -> TrainingError:
        return TrainingError(
            "a file of the run cannot be read or written",
            where=error.filename or self.folder,
            why=error,
            mend="make room or mend the permissions, then go on with",
            command=self._resume,
        )

    def _take_up(self) -> None:
        """Bring the folder to where the state is, and say that the run goes on."""
        for part in (self.folder, *filter(Path.is_dir, self.folder.rglob("*"))):
            sweep_partial(part, older_than=0)  # of a killed process: the folder is ours alone
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
        """Train beside the first process, which alone writes. Raises as `carry_out` does."""
        self._train(self._engine(Beside(), {}, None, self._metrics(QuietProgress())))

    def _train_and_tell(self) -> None:
        recorder = Recorder(self.folder, self.recipe, self.session, self.journal, self.status, self.display)
        metrics = self._metrics(self.display.progress)
        facts = _checkpoint_facts(self.recipe, self.cohort, self.environment["plugins"], self.processes.size)
        engine = self._engine(recorder, facts, self._best(metrics), metrics)
        stages = [{"name": s.name, "epochs": s.epochs, "roles": list(s.roles)} for s in engine.stages]
        self.display.begin(
            {
                "recipe": self.recipe.name,
                "run": self.folder.name,
                "device": str(self.state.device),
                "stages": stages,
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

    def _metrics(self, progress: Progress) -> dict[str, AnyMetric]:
        return cohort_metrics(self.recipe, self.session.registry, self.cohort, progress)

    def _engine(
        self, observer: Observer, facts: Mapping[str, Any], best: Best | None, metrics: Mapping[str, AnyMetric]
    ) -> Engine:
        return Engine(
            self.recipe,
            self.state,
            self.cohort.loader,
            self.folder,
            facts,
            observer,
            Validation(self.state, self.cohort, metrics, self.folder, self.processes),
            lambda: self.signals.asked,
            best,
            self.processes,
        )

    def _train(self, engine: Engine) -> None:
        self.signals.training = True
        try:
            with self.processes.heard(), enough_memory("to train", "data.batch, data.crop or the networks' channels"):
                engine.run()
        finally:
            self.signals.training = False

    def _best(self, metrics: Mapping[str, AnyMetric]) -> Best | None:
        """What keeps the best epoch's checkpoint, where the recipe wants it."""
        key = self.recipe.best_metric
        if key is None:
            return None
        name = key.rpartition("/")[2]
        if name not in metrics:
            raise RecipeError(
                f"the metric {name!r} is watched, and it is left out",
                where="training.keep_best.metric",
                why=f"{', '.join(self.recipe.measured)} has no absolute unit",
                mend="watch another metric, or give data.intensities.NAME.range",
            )
        return Best(self.folder / "checkpoints", key, metrics[name].higher_is_better)

    def _evaluate(self) -> dict[str, Any]:
        checkpoint = evaluated_checkpoint(self.folder / "checkpoints", self.recipe.evaluation.checkpoint)
        if checkpoint is not None and checkpoint.position != self.state.position:
            restore(self.state, checkpoint)
        metrics = self._metrics(QuietProgress())
        evaluation = assess(self.state, self.cohort, metrics, self.folder, self.display.progress)
        return evaluation.to_dict() if evaluation.rows else {}

    def _ended(self, state: str, message: str) -> None:
        self.signals.over = state != "finished"
        seconds = self.spent_before + time.time() - self.began
        with suppress(OSError):  # a full disk is reported by what it stopped
            self.status.update(state=state, message=message, seconds=seconds)
