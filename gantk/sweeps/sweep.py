"""Sweeps: listing or running the runs that one recipe describes, each in its own process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gantk.api.signals import StopSignals
from gantk.errors import Interrupted, UsageError
from gantk.launching import Launcher
from gantk.plugins import load_plugins
from gantk.plugins.absent import made_with
from gantk.recipe.load import Given, said_of
from gantk.recipe.model import TrackingSettings
from gantk.recipe.overrides import Changes, change_of
from gantk.recipe.variants import Sweep, in_turn, is_sweep, load_sweep
from gantk.runs.files import RunFiles
from gantk.runs.lock import alone, is_busy
from gantk.runs.sweeps import child_folder
from gantk.sweeps.course import Course, count_epochs
from gantk.sweeps.display import SweepDisplay
from gantk.sweeps.folder import folder_of, plugins_of, write, written
from gantk.sweeps.state import ChildState, SweepFailed, SweepResult
from gantk.tracking.address import check_recipe
from gantk.tracking.store import check_uri

__all__ = [
    "ChildState",
    "SweepDisplay",
    "SweepFailed",
    "SweepResult",
    "list_sweep",
    "run_sweep",
]


def list_sweep(path: Given, overrides: Changes = (), *, out: Path | None = None) -> SweepResult:
    """The children that overrides select, in running order, with their states; does not start or write anything.

    All of them are fully validated.

    Raises:
        RecipeError: the recipe or a child is invalid.
        UsageError: an override is invalid or selects no child.
    """
    sweep = _sweep_of(path, overrides)
    folder = folder_of(sweep.name, out)
    session = load_plugins()
    stages: dict[str, int | None] = {}
    busy = is_busy(folder)
    states = []
    for child in in_turn(sweep.selected):
        state = ChildState(child.id, child.label, child_folder(folder, child.id))
        state.look(alive=False)
        if busy and RunFiles(state.folder).status().get("state") == "running":
            state.state = "running"
        key = child.work
        if key not in stages:
            with made_with(plugins_of(folder), session):
                epochs, per_epoch = count_epochs(child, session.registry), child.recipe.data.steps_per_epoch
            stages[key] = epochs * per_epoch if per_epoch else None
        state.total = stages[key]
        states.append(state)
    return SweepResult(folder, str(RunFiles(folder).status().get("state", "waiting")), tuple(states))


def run_sweep(
    path: Given | None = None,
    overrides: Changes = (),
    *,
    resume: str | Path | None = None,
    device: str = "auto",
    out: Path | None = None,
    workers: int | None = None,
    launcher: str = "local",
    launch: Sequence[str] = (),
    tracking_uri: str | None = None,
    display: SweepDisplay | None = None,
) -> SweepResult:
    """Run the children of a recipe with variants or a grid; finished children are kept, started ones are resumed.

    Args:
        path: the recipe: its file, the name of a recipe that comes with gantk, or its content; omitted when resuming.
        overrides: `key.of.table=value`, or values by dotted key, for every child; an override of a grid key runs only
            the children with that value, while the folder, its table and its report remain those of the whole sweep.
        resume: the folder of a sweep to continue with the recipe stored there.
        device: the device of the children.
        out: the folder in which the sweep's folder is created; default: `./runs`.
        workers: largest number of children at once; default: the launcher's own number.
        launcher: the component that starts the children.
        launch: the launcher's parameters, as `key=value`.
        tracking_uri: MLflow's address; overrides the recipe's.
        display: draws the children's progress.

    Raises:
        SweepFailed: some children failed; the others were run.
        Interrupted: a signal stopped the sweep; every child saved its state.
        GantkError: any other error that the user can fix.
    """
    from gantk.training.device import pick_device  # torch takes seconds to import

    display = display or SweepDisplay()
    pick_device(device)
    session = load_plugins()
    component = session.registry.get("launcher", launcher, "--launcher")
    parameters = change_of(launch) | ({} if workers is None else {"workers": workers})
    starter: Launcher = component.build(parameters, "--launch")
    with StopSignals() as signals:
        try:
            if resume is not None:
                folder = Path(resume).absolute()
                children, table = written(folder)
                selected = children
            elif path is not None:
                sweep = _sweep_of(path, overrides)
                folder, children, table = folder_of(sweep.name, out), list(sweep.children), sweep.table
                selected = list(sweep.selected)
            else:
                raise UsageError("nothing to run", mend="name a recipe, or a sweep's folder with --resume")
            settings = TrackingSettings.model_validate(table.get("tracking", {}))
            check_recipe(settings)
            tracking_uri = check_uri(settings, tracking_uri, folder)
            work = Course(folder, children, selected, session.registry, display, signals)
            with made_with(plugins_of(folder), session):
                totals = work.prepare()
            if resume is None:
                write(folder, sweep)
        except KeyboardInterrupt:
            raise Interrupted("the sweep was interrupted before it began", mend="start it again") from None
        with alone(folder):
            options = ["--device", device]
            options += [] if tracking_uri is None else ["--tracking-uri", tracking_uri]
            return work.carry_out(totals, starter, options, settings, tracking_uri)


def _sweep_of(path: Given, overrides: Changes) -> Sweep:
    if not is_sweep(path):
        raise UsageError(
            "this recipe is one run, not a sweep",
            where=said_of(path),
            mend="add [variants.NAME] or [sweep], or run it with `gantk run` as a single run",
        )
    return load_sweep(path, overrides)
