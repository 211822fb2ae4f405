"""The course of a sweep: preparing and running its children, its state, table, report and MLflow run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gantk.api.signals import StopSignals
from gantk.errors import GantkError, Interrupted
from gantk.files import write_text
from gantk.launching import Launcher
from gantk.plugins import Registry
from gantk.progress import Progress
from gantk.recipe.model import TrackingSettings
from gantk.recipe.variants import Child, in_turn
from gantk.runs.folders import Status, spoken
from gantk.runs.names import TABLE
from gantk.runs.sweeps import child_folder
from gantk.sweeps.crew import Crew
from gantk.sweeps.display import SweepDisplay
from gantk.sweeps.state import ChildState, SweepFailed, SweepResult

__all__ = ["Course", "count_epochs", "write_page", "write_table"]

#: Seconds that the children wait for MLflow to create their parent run, and possibly its database.
MLFLOW_PATIENCE = 30.0


class Course:
    """The course of one sweep.

    Args:
        folder: the sweep's folder.
        children: all children, in the order of tables.
        selected: the children to run.
        registry: the components that recipes can name.
        display: receives the progress.
        signals: the signals received from the user.
    """

    def __init__(
        self,
        folder: Path,
        children: Sequence[Child],
        selected: Sequence[Child],
        registry: Registry,
        display: SweepDisplay,
        signals: StopSignals,
    ) -> None:
        self.folder, self.children, self.registry = folder, selected, registry
        self.display, self.signals = display, signals
        states = {c.id: ChildState(c.id, c.label, child_folder(folder, c.id)) for c in children}
        for state in states.values():
            state.look(alive=False)
        self.states = {c.id: states.pop(c.id) for c in selected}
        #: Children that were not requested.
        self.others = tuple(states.values())

    def prepare(self) -> dict[str, int]:
        """Build every child's networks once and prepare the data, so that children do not fail or race in these steps.

        Returns steps by child.
        """
        counted: dict[str, int] = {}
        cohorts: dict[str, Any] = {}
        for child in self.children:
            if self.states[child.id].state != "finished" and child.work not in counted:
                counted[child.work] = _count_steps(child, self.registry, cohorts, self.display.progress)
        return {c.id: counted[c.work] for c in self.children if c.work in counted}

    def carry_out(
        self,
        totals: dict[str, int],
        launcher: Launcher,
        options: Sequence[str],
        settings: TrackingSettings,
        tracking_uri: str | None,
    ) -> SweepResult:
        """Run the unfinished children, and record the outcome in the folder, the display and MLflow.

        Args:
            totals: steps by child, as `prepare` counted them.
            launcher: starts the children.
            options: options of `gantk run`, for every child.
            settings: the sweep's `[tracking]`.
            tracking_uri: MLflow's address; overrides the settings'.

        Raises:
            SweepFailed: some children failed; the others were run.
            Interrupted: a signal stopped the sweep.
        """
        from gantk.tracking.feeder import Feeder

        began = time.time()
        status = Status(self.folder)
        before = float(status.facts.get("seconds", 0.0))
        status.update(state="running", id=self.folder.name, started=status.facts.get("started", began), message="")
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
            self._work(Crew(launcher, options, self.display, self.signals))
            result = SweepResult(self.folder, self._outcome(), tuple(self.states.values()))
        except KeyboardInterrupt:
            result = SweepResult(self.folder, "interrupted", tuple(self.states.values()))
        finally:
            whole, message = self._whole(result.state)
            with suppress(OSError):
                write_table(self.folder)
                status.update(state=whole, message=message, seconds=before + time.time() - began)
                write_page(self.folder, self.display.note)
            if feeder is not None:
                feeder.close()
        if result.state == "interrupted":
            raise Interrupted(
                "the sweep was interrupted",
                where=self.folder,
                mend="continue with",
                command=f"gantk run --resume {spoken(self.folder)}",
            )
        if result.state == "failed":
            failed = self._failed(result)
            failed.result = result
            raise failed
        if message:
            self.display.note(message)
        return result

    def _work(self, crew: Crew) -> None:
        self.display.begin(self.folder.name, list(self.states.values()), alone=crew.inherit)
        crew.work([state for state in self._in_order() if state.state != "finished"])

    def _in_order(self) -> list[ChildState]:
        return [self.states[child.id] for child in in_turn(self.children)]

    def _outcome(self) -> str:
        states = {state.state for state in self.states.values()}
        if self.signals.asked and states != {"finished"}:
            return "interrupted"
        return "finished" if states == {"finished"} else "failed"

    def _whole(self, state: str) -> tuple[str, str]:
        """The state of the whole sweep and a message, given the state of the requested children."""
        for other in self.others:
            other.look(alive=False)
        missing = [other.state for other in self.others if other.state != "finished"]
        if state != "finished" or not missing:
            return state, ""
        state = "failed" if "failed" in missing else "interrupted"
        return (
            state,
            f"the sweep has {len(missing)} other unfinished {'run' if len(missing) == 1 else 'runs'}",
        )

    def _failed(self, result: SweepResult) -> SweepFailed:
        bad = [state for state in result.children if state.state != "finished"]
        reasons = [
            f"{s.id}: {(s.message or s.state).rstrip('.')}{f' (see {s.log})' if s.log.is_file() else ''}" for s in bad
        ]
        return SweepFailed(
            f"{len(bad)} of {len(result.children)} runs did not finish",
            where=self.folder,
            why="\n  ".join(["", *reasons]),
            mend="fix the cause, then start the sweep again; finished runs are kept",
        )


def count_epochs(child: Child, registry: Registry) -> int:
    """The number of epochs in all stages of a child; builds its networks."""
    from gantk.api.checks import build

    with child.named():
        _, scheduler = build(child.recipe, registry)
    return sum(stage.epochs for stage in scheduler.stages(child.recipe.learning))


def _count_steps(child: Child, registry: Registry, cohorts: dict[str, Any], progress: Progress) -> int:
    """The number of steps in all stages of a child; builds its networks and prepares its data."""
    from gantk.api.checks import build
    from gantk.api.cohort import open_cohort

    recipe = child.recipe
    with child.named():
        assembly, scheduler = build(recipe, registry)
        key = json.dumps([recipe.data.model_dump(mode="json"), recipe.evaluation.missing])
        if key not in cohorts:
            cohorts[key] = open_cohort(recipe, registry, progress)
        loader = cohorts[key].loader
        stages = scheduler.stages(recipe.learning)
        return sum(s.epochs * loader.steps(assembly.plan(s.name, s.roles).groups) for s in stages)


def write_table(folder: Path) -> None:
    """Write the table of the finished children, for the folder and for the description in MLflow."""
    from gantk.tables.grids import to_markdown
    from gantk.tables.paper import result_table

    try:
        text = to_markdown(result_table([folder]).grid())
    except GantkError as error:  # no results yet, or the children are not comparable
        text = f"There is no table: {error}\n"
    write_text(folder / TABLE, text)


def write_page(folder: Path, note: Callable[[str], None]) -> None:
    """Write the report of the sweep; a failure here must not fail the sweep."""
    from gantk.report.sweep import write_sweep_report  # matplotlib takes a second to import

    try:
        write_sweep_report(folder)
    except GantkError as error:
        note(f"the sweep's report could not be written: {error}")
