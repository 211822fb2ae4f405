"""A sweep: the children of one recipe, each an ordinary run in a process of its own, and a folder around them."""

from __future__ import annotations

import json
import signal
import sys
import time
import tomllib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import tomli_w
from filelock import FileLock, Timeout

from gantk.api.runs import RUNS, Status, alone, spoken
from gantk.api.signals import StopSignals
from gantk.errors import DataError, GantkError, Interrupted, RecipeError, TrainingError, UsageError
from gantk.files import atomic_write, read_json
from gantk.launching import Handle, Job, Launcher
from gantk.plugins import Registry, load_plugins
from gantk.progress import Progress, default_progress
from gantk.recipe import Recipe, dump_recipe, load_recipe
from gantk.recipe.load import change_of
from gantk.recipe.locate import where
from gantk.recipe.model import TrackingSettings
from gantk.recipe.variants import SEED, Child, Sweep, is_sweep, load_sweep

__all__ = [
    "COMMAND",
    "ChildState",
    "QuietSweep",
    "SweepDisplay",
    "SweepFailed",
    "SweepResult",
    "list_sweep",
    "run_sweep",
]

#: The command `gantk`; -P, so that no file of the working directory is taken for a module.
COMMAND = (sys.executable, "-P", "-m", "gantk")
#: Seconds between two looks at the children.
PAUSE = 0.2
#: Seconds that children have to end once they were told twice.
PATIENCE = 10.0
#: Seconds that the children wait for MLflow to take their parent, which may create its database first.
MLFLOW_PATIENCE = 30.0


@dataclass
class ChildState:
    """Where a child is.

    Attributes:
        id, label, folder: which it is.
        state: `waiting`, `running`, `finished`, `failed` or `interrupted`.
        done, total: steps; the total is None before it is known.
        stage: that it is in.
        message: why it failed.
    """

    id: str
    label: str
    folder: Path
    state: str = "waiting"
    done: int = 0
    total: int | None = None
    stage: str = ""
    message: str = ""

    @property
    def log(self) -> Path:
        """The output of its process."""
        return self.folder / "log.txt"

    def look(self, alive: bool) -> None:
        """Read its folder; `alive`: a process works on it."""
        status = read_json(self.folder / "status.json")
        state = str(status.get("state", "waiting"))
        self.state = ("running" if state != "finished" else state) if alive else state
        if self.state == "running" and not alive:
            self.state = "interrupted"  # what it says of itself is older than its death
        self.stage = str(status.get("stage", ""))
        self.message = str(status.get("message", ""))
        self.done = max(_last_step(self.folder / "metrics.jsonl") + 1, 0) or int(status.get("step", 0))

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class SweepResult:
    """A sweep's folder and its children, in the order of tables."""

    folder: Path
    state: str
    children: tuple[ChildState, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON, each finished child with its evaluation's summary."""
        children = [
            c.to_dict() | {"summary": read_json(c.folder / "evaluation" / "summary.json")} for c in self.children
        ]
        return {"folder": str(self.folder), "state": self.state, "children": children}


class SweepFailed(TrainingError):
    """Some children did not finish; the others did."""

    result: SweepResult


class SweepDisplay(Protocol):
    """Is told where a sweep's children are; the command line draws it."""

    progress: Progress
    """Shows the work before the first child starts."""

    def begin(self, name: str, children: Sequence[ChildState], *, alone: bool) -> None:
        """The children begin; `alone`: they write to this terminal themselves, one at a time."""

    def started(self, child: ChildState) -> None:
        """A child was started."""

    def ended(self, child: ChildState) -> None:
        """A child finished, failed or was interrupted."""

    def look(self) -> None:
        """The children's states are fresh."""

    def note(self, text: str) -> None:
        """Something that the user should read."""

    def end(self) -> None:
        """No child is at work any more."""


class QuietSweep:
    """Shows the preparation as `progress` does, and nothing of the children."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or default_progress()

    def begin(self, name: str, children: Sequence[ChildState], *, alone: bool) -> None: ...

    def started(self, child: ChildState) -> None: ...

    def ended(self, child: ChildState) -> None: ...

    def look(self) -> None: ...

    def note(self, text: str) -> None:
        self.progress.note(text)

    def end(self) -> None: ...


def list_sweep(path: str | Path, overrides: Sequence[str] = (), *, out: Path | None = None) -> SweepResult:
    """The children of a recipe with their states, in full validated; starts and writes nothing.

    Raises:
        RecipeError: the recipe or a child is wrong.
    """
    sweep = _load(path, overrides)
    folder = _folder_of(sweep.name, out)
    registry = load_plugins().registry
    stages: dict[str, int | None] = {}
    busy = _is_busy(folder)
    states = []
    for child in sweep.children:
        state = ChildState(child.id, child.label, folder / "children" / child.id)
        state.look(alive=False)
        if busy and read_json(state.folder / "status.json").get("state") == "running":
            state.state = "running"
        key = _but_for_seed(child.recipe)
        if key not in stages:
            epochs, per_epoch = _epochs(child, registry), child.recipe.data.steps_per_epoch
            stages[key] = epochs * per_epoch if per_epoch else None
        state.total = stages[key]
        states.append(state)
    return SweepResult(folder, str(read_json(folder / "status.json").get("state", "waiting")), tuple(states))


def run_sweep(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
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
    """Run the children of a recipe with variants or a grid; those that are finished stay, those begun go on.

    Args:
        path: the recipe; may be left out when resuming.
        overrides: `key.of.table=value`, for every child.
        resume: the folder of a sweep, to go on with it as it was written there.
        device: of the children.
        out: the folder in which the sweep's folder is made; `./runs` where absent.
        workers: the most children at once; the launcher's own number where absent.
        launcher: the component that starts them.
        launch: the launcher's parameters, as `key=value`.
        tracking_uri: MLflow's address, above the recipe's.
        display: draws the children's progress.

    Raises:
        SweepFailed: children failed; the others were carried out.
        Interrupted: a signal stopped the sweep; every child saved its state.
        GantkError: anything else that the user can mend.
    """
    from gantk.training.device import pick_device  # torch takes seconds to import

    display = display or QuietSweep()
    pick_device(device)
    registry = load_plugins().registry
    component = registry.get("launcher", launcher, "--launcher")
    parameters = change_of(launch) | ({} if workers is None else {"workers": workers})
    starter: Launcher = component.build(parameters, "--launch")
    with StopSignals() as signals:
        try:
            if resume is not None:
                folder = Path(resume).absolute()
                children, table = _written(folder), tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
            elif path is not None:
                sweep = _load(path, overrides)
                folder, children, table = _folder_of(sweep.name, out), list(sweep.children), sweep.table
            else:
                raise UsageError("nothing to run", mend="name a recipe, or a sweep's folder with --resume")
            work = _Run(folder, children, registry, display, signals)
            totals = work.prepare()
            if resume is None:
                _write(folder, sweep)
        except KeyboardInterrupt:
            raise Interrupted("the sweep was interrupted before it began", mend="start it again") from None
        with alone(folder):
            options = ["--device", device]
            options += [] if tracking_uri is None else ["--tracking-uri", tracking_uri]
            settings = TrackingSettings.model_validate(table.get("tracking", {}))
            return work.carry_out(totals, starter, options, settings, tracking_uri)


class _Run:
    """One sweep's course."""

    def __init__(
        self,
        folder: Path,
        children: Sequence[Child],
        registry: Registry,
        display: SweepDisplay,
        signals: StopSignals,
    ) -> None:
        self.folder, self.children, self.registry = folder, children, registry
        self.display, self.signals = display, signals
        self.states = {c.id: ChildState(c.id, c.label, folder / "children" / c.id) for c in children}
        for state in self.states.values():
            state.look(alive=False)

    def prepare(self) -> dict[str, int]:
        """Build every child's networks once and prepare its data, so that children neither fail at that nor race.

        Returns steps by child.
        """
        steps: dict[str, int] = {}
        cohorts: dict[str, Any] = {}
        for child in self.children:
            key = _but_for_seed(child.recipe)
            if self.states[child.id].state != "finished" and key not in steps:
                steps[key] = _steps(child, self.registry, cohorts, self.display.progress)
        return {c.id: steps[key] for c in self.children if (key := _but_for_seed(c.recipe)) in steps}

    def carry_out(
        self,
        totals: dict[str, int],
        launcher: Launcher,
        options: Sequence[str],
        settings: TrackingSettings,
        tracking_uri: str | None,
    ) -> SweepResult:
        from gantk.tracking.feeder import Feeder

        began = time.time()
        self.status = Status(self.folder)
        before = float(self.status.facts.get("seconds", 0.0))
        started = self.status.facts.get("started", began)
        self.status.update(state="running", id=self.folder.name, started=started, message="")
        for state in self.states.values():
            state.look(alive=False)
            state.total = totals.get(state.id, state.done)
        feeder = None
        if settings.enabled:
            feeder = Feeder(self.folder, settings, tracking_uri, self.display.note)
        result = SweepResult(self.folder, "failed", tuple(self.states.values()))
        try:
            if feeder is not None:
                feeder.begun(MLFLOW_PATIENCE)
            self._launch(launcher, options)
            result = SweepResult(self.folder, self._outcome(), tuple(self.states.values()))
        except KeyboardInterrupt:
            result = SweepResult(self.folder, "interrupted", tuple(self.states.values()))
        finally:
            with suppress(OSError):
                self._tell()
                self.status.update(state=result.state, seconds=before + time.time() - began)
                self._report()
            if feeder is not None:
                feeder.close()
        if result.state == "interrupted":
            raise Interrupted(
                "the sweep was interrupted",
                where=self.folder,
                mend=f"go on with: gantk run --resume {spoken(self.folder)}",
            )
        if result.state == "failed":
            failed = self._failed(result)
            failed.result = result
            raise failed
        return result

    def _launch(self, launcher: Launcher, options: Sequence[str]) -> None:
        """Start the children, at most as many at once as the launcher wants, until none is left."""
        waiting = [state for state in self._in_order() if state.state != "finished"]
        inherit = launcher.here and launcher.workers == 1 and sys.stderr.isatty()
        running: list[tuple[ChildState, Handle]] = []
        told = False
        self.display.begin(self.folder.name, list(self.states.values()), alone=inherit)
        self.signals.training = True  # the first signal asks, the second interrupts
        try:
            while running or (waiting and not told):
                while waiting and not told and (not launcher.workers or len(running) < launcher.workers):
                    state = waiting.pop(0)
                    command = [*COMMAND, "run", "--resume", str(state.folder), *options]
                    try:
                        handle = launcher.start(Job(state.id, command, state.folder, None if inherit else state.log))
                    except TrainingError as error:  # this one cannot start; the others may
                        state.state, state.message = "failed", str(error)
                        self.display.ended(state)
                        continue
                    state.state, state.message = "running", ""
                    running.append((state, handle))
                    self.display.started(state)
                time.sleep(PAUSE)
                running = [pair for pair in running if not self._has_ended(*pair)]
                self.display.look()
                if self.signals.asked and not told:
                    told = True
                    _each(handle.stop for _, handle in running)
        except BaseException:  # a second signal: no child outlives its sweep
            with suppress(KeyboardInterrupt):  # a third: they get no time either
                _each(handle.stop for _, handle in running)
                ends = time.monotonic() + PATIENCE
                while time.monotonic() < ends and any(handle.poll() is None for _, handle in running):
                    time.sleep(PAUSE / 2)
            for state, handle in running:
                if handle.poll() is None:
                    handle.kill()
                self._has_ended(state, handle)
            raise
        finally:
            self.signals.training = False
            self.display.end()

    def _in_order(self) -> list[ChildState]:
        """Every variant with the first seed, then with the second: half a sweep is a whole table of fewer seeds."""
        seeds = list(dict.fromkeys(child.changes.get(SEED) for child in self.children))
        ordered = sorted(self.children, key=lambda child: seeds.index(child.changes.get(SEED)))
        return [self.states[child.id] for child in ordered]

    def _has_ended(self, state: ChildState, handle: Handle) -> bool:
        code = handle.poll()
        state.look(alive=code is None)
        if code is None:
            return False
        if code == 0:
            state.state, state.message = "finished", ""
        elif code == Interrupted.exit_code or (
            self.signals.asked and (code < 0 or state.state in ("interrupted", "waiting"))
        ):
            state.state = "interrupted"
        else:
            state.state = "failed"
            if code < 0:
                state.message = f"its process was killed by {_signal(-code)}"
                with suppress(OSError):
                    Status(state.folder).update(state="failed", message=state.message)
            state.message = state.message or f"its process ended with exit code {code}"
        self.display.ended(state)
        return True

    def _outcome(self) -> str:
        states = {state.state for state in self.states.values()}
        if self.signals.asked and states != {"finished"}:
            return "interrupted"
        return "finished" if states == {"finished"} else "failed"

    def _failed(self, result: SweepResult) -> SweepFailed:
        bad = [state for state in result.children if state.state != "finished"]
        reasons = [
            f"{s.id}: {(s.message or s.state).rstrip('.')}{f' (see {s.log})' if s.log.is_file() else ''}" for s in bad
        ]
        return SweepFailed(
            f"{len(bad)} of {len(result.children)} runs did not finish",
            where=self.folder,
            why="\n  ".join(["", *reasons]),
            mend="Mend the cause, then start the sweep again: what is finished stays",
        )

    def _tell(self) -> None:
        """The table of what is finished, for readers of the folder and for MLflow's description."""
        from gantk.evaluation.grids import to_markdown
        from gantk.evaluation.sweep_table import result_table

        try:
            text = to_markdown(result_table([self.folder]).grid())
        except GantkError as error:  # nothing to show yet, or children that do not compare
            text = f"There is no table: {error}\n"
        with atomic_write(self.folder / "table.md") as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _report(self) -> None:
        """The page of the whole sweep; what spoils it must not spoil the sweep."""
        from gantk.report.sweep import write_sweep_report  # matplotlib takes a second to import

        try:
            write_sweep_report(self.folder)
        except GantkError as error:
            self.display.note(f"the sweep's report could not be written: {error}")


# -- the folder ------------------------------------------------------------------------------------------------


def _load(path: str | Path, overrides: Sequence[str]) -> Sweep:
    if not is_sweep(path):
        raise UsageError(
            "this recipe is one run, not a sweep", where=path, mend="add [variants.NAME] or [sweep], or run it as it is"
        )
    return load_sweep(path, overrides)


def _folder_of(name: str, out: Path | None) -> Path:
    return (out or Path(RUNS)).absolute() / name


def _write(folder: Path, sweep: Sweep) -> None:
    """The sweep's folder with those of all children, ready to be run; what is there already stays."""
    if (folder / "recipe.toml").is_file() and not (folder / "sweep.json").is_file():
        raise UsageError("there is a run of this name already", where=folder, mend="give the sweep another name")
    entries = [
        {"id": c.id, "variant": c.variant, "changes": c.changes, "label": c.label, "report": list(c.report)}
        for c in sweep.children
    ]
    head = {"name": sweep.name, "description": sweep.description, "recipe": sweep.path.name, "children": entries}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            for child, entry in zip(sweep.children, entries, strict=True):
                own = folder / "children" / child.id
                own.mkdir(parents=True, exist_ok=True)
                _keep(own / "child.json", _dumped({"parent": sweep.name} | entry))
                if not (own / "recipe.toml").is_file():
                    _keep(own / "recipe.toml", dump_recipe(child.recipe))
            _keep(folder / "recipe.toml", tomli_w.dumps(sweep.table))
            _keep(folder / "sweep.json", _dumped(head))
    except OSError as error:
        raise UsageError(
            "the sweep's folder cannot be made",
            where=folder,
            why=error.strerror or error,
            mend="give another place with --out",
        ) from error


def _written(folder: Path) -> list[Child]:
    """The children that a sweep's folder lists."""
    head = read_json(folder / "sweep.json")
    if not head.get("children"):
        raise UsageError("this is no sweep's folder", where=folder, why="it holds no sweep.json with children")
    children = []
    for entry in head["children"]:
        path = folder / "children" / entry["id"] / "recipe.toml"
        children.append(
            Child(
                entry["id"],
                entry["variant"],
                entry["changes"],
                entry["label"],
                tuple(entry["report"]),
                load_recipe(path),
                partial(where, path),
            )
        )
    return children


def _keep(path: Path, text: str) -> None:
    """Write a file unless it says this already."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _dumped(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _is_busy(folder: Path) -> bool:
    """Whether a process works on the sweep."""
    if not (folder / ".lock").is_file():
        return False
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return True
    lock.release()
    return False


# -- the children ----------------------------------------------------------------------------------------------


def _but_for_seed(recipe: Recipe) -> str:
    """What recipes share that differ in seed and name alone."""
    return json.dumps(recipe.model_dump(mode="json", exclude={"name": True, "description": True, "run": {"seed"}}))


def _epochs(child: Child, registry: Registry) -> int:
    """Epochs of all stages, from the child's networks built."""
    from gantk.api.checks import build

    try:
        assembly, scheduler = build(child.recipe, registry)
    except RecipeError as error:
        raise child.explain(error) from None
    return sum(stage.epochs for stage in scheduler.stages(list(assembly.translators)))


def _steps(child: Child, registry: Registry, cohorts: dict[str, Any], progress: Progress) -> int:
    """Steps of all stages, from the child's networks built and its data prepared."""
    from gantk.api.checks import build
    from gantk.api.cohort import open_cohort

    recipe = child.recipe
    try:
        assembly, scheduler = build(recipe, registry)
        key = json.dumps([recipe.data.model_dump(mode="json"), recipe.evaluation.missing])
        if key not in cohorts:
            cohorts[key] = open_cohort(recipe, registry, progress)
        loader = cohorts[key].loader
        stages = scheduler.stages(list(assembly.translators))
        return sum(s.epochs * loader.steps(assembly.plan(s.name, s.roles).groups) for s in stages)
    except RecipeError as error:
        raise child.explain(error) from None
    except DataError as error:
        what = f"variant {child.variant!r}: {error.what}"
        raise DataError(what, where=error.where, why=error.why, mend=error.mend) from error


def _each(calls: Iterable[Any]) -> None:
    for call in calls:
        call()


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name}, as the system does when memory runs out" if name == "SIGKILL" else name


def _last_step(journal: Path, tail: int = 65536) -> int:
    """The step of the journal's last whole line, -1 where there is none."""
    try:
        with journal.open("rb") as file:
            file.seek(max(file.seek(0, 2) - tail, 0))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return -1
    with suppress(ValueError, KeyError, IndexError, TypeError):
        return int(json.loads(lines[-1])["step"])
    return -1
