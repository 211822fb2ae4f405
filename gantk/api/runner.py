"""A run from its recipe to its report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from gantk.api.checks import build, look, make_scheduler
from gantk.api.cohort import Cohort, check_same_data, check_same_split, prepare_cohort
from gantk.api.course import Course, checkpoint_facts
from gantk.api.display import Display
from gantk.api.export import check_exportable, check_packages
from gantk.api.extension import Extension, extended_recipe
from gantk.api.notebook import notebook_display
from gantk.api.preflight import check_out
from gantk.api.result import RunResult
from gantk.api.resuming import resumed_recipe
from gantk.api.signals import StopSignals
from gantk.api.sources import find_sources, start_from, with_sources
from gantk.errors import RecipeError, UsageError
from gantk.memory import enough_memory
from gantk.plugins import Session, load_plugins
from gantk.plugins.absent import made_with
from gantk.progress import Progress, QuietProgress
from gantk.recipe import Recipe, dump_recipe, load_recipe
from gantk.recipe.load import Given, said_of
from gantk.recipe.overrides import Changes
from gantk.recipe.variants import is_sweep
from gantk.runs.files import RunFiles, warn_of_damage
from gantk.runs.folders import RUNS, make_run_folder, recipe_of, resolve_run
from gantk.runs.lock import alone
from gantk.tracking.environment import environment
from gantk.tracking.store import check_uri
from gantk.training.checkpoint import restore, save_checkpoint
from gantk.training.device import computing
from gantk.training.state import TrainingState
from gantk.training.world import World, world
from gantk.translation.chain import Chain


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

    Under `torchrun` its processes train the run together, and only the first one evaluates, tracks and reports.

    Args:
        path: the recipe: its file, the name of a shipped recipe, or its content; omitted when resuming.
        overrides: changes of the recipe: `key.of.table=value`, or a mapping of values by dotted key.
        resume: a run (folder or id) to continue exactly from its last checkpoint.
        extend: changes of the schedule, `schedule.epochs=300`: a new run begins at the end of `resume`, which is left
            unchanged.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        out: the folder in which the run's folder is made; default: `./runs`.
        progress: shows progress; default: bars on a terminal, plain lines elsewhere.
        tracking_uri: MLflow's address; takes precedence over the recipe's.
        display: shows the training; default: an updating line in a notebook, and nothing elsewhere.

    Raises:
        Interrupted: a signal stopped the run; its state is saved.
        GantkError: any error that the user can fix.
    """
    with world(device) as processes:
        drawn = display or notebook_display(progress) or Display(progress)
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
        display = Display(QuietProgress())
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
                f"this recipe belongs to a run that extended {recipe.parent.run}",
                where="parent",
                mend="extend that run in the same way, or remove [parent] from the recipe to start a new run",
                command=f"gantk run --resume {recipe.parent.run} --extend schedule.KEY=VALUE",
            )
    else:
        folder = resolve_run(resume, out)
        warn_of_damage(folder)
        recipe = resumed_recipe(folder, path, overrides)
        if extend:
            parent, folder = folder, None
            recipe = extended_recipe(parent, extend)
    sources = find_sources(recipe, out) if resume is None else {}
    recipe = with_sources(recipe, sources)
    tracking_uri = check_uri(recipe.tracking, tracking_uri, folder)
    if recipe.tracking.enabled and recipe.tracking.model:
        check_packages()
    with StopSignals() as signals, computing(processes.device, recipe.run):
        before = folder or parent
        with made_with([] if before is None else RunFiles(before).plugins, session):
            assembly, scheduler = build(recipe, session.registry)
        if recipe.tracking.enabled and recipe.tracking.model:
            role = recipe.predict_role
            check_exportable(Chain(assembly.translators, role), recipe, role, "tracking.model")
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
            if recipe.training.sync_batch_norm:
                processes.synchronize(assembly.translators)
            state = TrainingState(recipe, assembly, scheduler, processes.device)
        if cohort.loader.sampler is not None:
            state.hardness = cohort.loader.sampler.hardness
        for note in start_from(state, sources):
            display.progress.note(note)
        fill = None if parent is None else _extended(parent, state, cohort, session, display, processes.size)
        if folder is None:
            folder = processes.told(lambda: _begin(recipe, cohort, out, fill))
        with alone(folder) if processes.first else nullcontext():
            work = Course(folder, recipe, session, cohort, state, display, signals, processes)
            work.restore()
            if not processes.first:
                work.accompany()
            return processes.told(lambda: work.carry_out(tracking_uri))


def _extended(
    parent: Path, state: TrainingState, cohort: Cohort, session: Session, display: Display, processes: int
) -> Callable[[Path], None]:
    """Set a state to the end of another run; returns the function that fills the new run's folder.

    Raises:
        UsageError: the schedule cannot continue from there.
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
    facts = checkpoint_facts(state.recipe, cohort, environment(session.plugins)["plugins"], processes)
    return extension.fill(lambda folder: save_checkpoint(folder, state, facts, keep=1))


def _begin(recipe: Recipe, cohort: Cohort, out: Path | None, fill: Callable[[Path], None] | None) -> Path:
    """Make a new run's folder, with the files that resuming needs."""
    try:
        return make_run_folder(recipe.name, dump_recipe(recipe), cohort.split, out, fill or (lambda _: None))
    except OSError as error:
        raise UsageError(
            "the run's folder cannot be made",
            where=out or RUNS,
            why=error,
            mend="give another place with --out",
        ) from error
