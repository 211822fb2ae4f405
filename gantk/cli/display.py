"""The live display of a run: a panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from gantk.api.display import Display
from gantk.progress import Bar, PlainProgress, duration

__all__ = ["RunDisplay"]

#: Seconds between two plain lines; a terminal is drawn anew several times a second.
PLAIN_PAUSE = 5.0
DRAWS_PER_SECOND = 4


class RunDisplay(Display):
    """Shows the progress of a run.

    A context manager; everything goes through one console, so that bars of data preparation and evaluation
    (`progress`), notes and the live panel never write over each other.

    Args:
        console: the console for all output; default: standard error.

    Attributes:
        progress: bars for other work of the same run, inside the panel.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.is_live = self.console.is_terminal
        self.state = _State()
        self._last_line = 0.0
        self._bars = Bars(
            TextColumn("{task.description}", justify="left"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            console=self.console,
        )
        self._epoch_bar: TaskID | None = None
        self._run_bar: TaskID | None = None
        self._live = Live(
            get_renderable=self._render,
            console=self.console,
            refresh_per_second=DRAWS_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=self.is_live,
        )
        self.progress = _LiveProgress(self) if self.is_live else PlainProgress(self.note)

    def __enter__(self) -> RunDisplay:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    # -- events of a run ----------------------------------------------------------------------------------

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Training starts: `plan` holds `recipe`, `run`, `device`, `stages` (each `name`, `epochs`, `steps per epoch`
        and `seconds per step`) and `metrics` (by name, with `higher_is_better`), each where it is known."""
        self.state.plan = dict(plan)
        self.state.began = time.monotonic()
        self._start()
        if not self.is_live:
            self._line(self.state.header())

    def stage(self, name: str, epochs: int, steps_per_epoch: int) -> None:
        """A stage starts, or continues after a resume."""
        self.state.begin_stage(name, epochs, steps_per_epoch)
        if self.is_live:
            if self._epoch_bar is None or self._run_bar is None:
                self._epoch_bar = self._bars.add_task("epoch", total=steps_per_epoch, eta="")
                self._run_bar = self._bars.add_task("whole run", total=None, eta="")
            else:  # the whole run's time goes on
                self._bars.reset(self._epoch_bar, total=steps_per_epoch)
        else:
            self._line(f"{self.state.stage_title()}: {epochs} epochs of {steps_per_epoch} steps")

    def step(
        self,
        stage: str,
        epoch: int,
        step: int,
        total_steps: int,
        losses: Mapping[str, float],
        seconds_per_step: float,
    ) -> None:
        """A step was done: `step` of an epoch's `total_steps`, from 0 as `epoch`; `losses` by `role/term`."""
        self.state.step_done(epoch, step, total_steps, losses, seconds_per_step)
        if self.is_live:
            self._draw_bars()
        elif time.monotonic() - self._last_line >= 6 * PLAIN_PAUSE:
            self._line(self.state.line())

    def epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch was done, with its validation metrics by `role/metric`."""
        self.state.epoch_done(epoch, metrics)
        last = epoch + 1 >= self.state.epochs
        if not self.is_live and (last or time.monotonic() - self._last_line >= PLAIN_PAUSE):
            self._line(self.state.line(validation=True))

    def note(self, text: str) -> None:
        """Show one line above the panel; may be called from another thread."""
        self.console.print(Text(text), soft_wrap=not self.is_live)

    def end(self, state: str) -> None:
        """Training is over; the panel stays, and bars of later work appear below it."""
        self.state.ended = state
        if self.is_live:
            self._draw_bars()
        else:
            self._line(f"training {state} after {duration(time.monotonic() - self.state.began)}")

    # -- drawing ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self.is_live and not self._live.is_started:
            self._live.start()

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self.note(text)

    def _draw_bars(self) -> None:
        state = self.state
        if self._epoch_bar is not None:
            title = f"epoch {state.epoch_number + 1}/{state.epochs}"
            self._bars.update(self._epoch_bar, completed=state.step_in_epoch, description=title)
        if self._run_bar is not None:
            eta = "" if state.ended else f"ETA {duration(state.remaining())} · {state.seconds_per_step:.2f} s/step"
            self._bars.update(self._run_bar, completed=state.done, total=state.total, eta=eta)

    def _render(self) -> RenderableType:
        state = self.state
        parts: list[RenderableType] = []
        if state.plan:
            parts.append(Text(state.header(), "bold"))
        if state.stage_name:
            parts.append(Text(state.stage_title(), "cyan"))
        if state.losses or state.validation:
            parts.append(Columns([_losses(state.losses), _validation(state)], padding=(0, 4)))
        if self._bars.tasks:
            parts.append(self._bars)
        return Group(*parts)


class _State:
    """The known progress of a run."""

    def __init__(self) -> None:
        self.plan: dict[str, Any] = {}
        self.began = time.monotonic()
        self.stage_name, self.stage_number = "", 0
        self.epochs = self.steps_per_epoch = 0
        self.epoch_number = self.step_in_epoch = 0
        self.seconds_per_step = 0.0
        self.losses: dict[str, float] = {}
        self.validation: dict[str, list[float]] = {}  # all values so far
        self.measured: Mapping[str, float] = {}  # of the last epoch
        self.ended = ""

    @property
    def stages(self) -> list[Mapping[str, Any]]:
        return list(self.plan.get("stages", ()))

    def begin_stage(self, name: str, epochs: int, steps_per_epoch: int) -> None:
        names = [stage["name"] for stage in self.stages]
        number = names.index(name) + 1 if name in names else self.stage_number + 1
        self.seconds_per_step *= self._times_as_long(number)
        self.stage_number = number
        self.stage_name, self.epochs, self.steps_per_epoch = name, epochs, steps_per_epoch
        self.epoch_number = self.step_in_epoch = 0
        self.losses = {}

    def step_done(self, epoch: int, step: int, total: int, losses: Mapping[str, float], seconds: float) -> None:
        self.epoch_number, self.step_in_epoch, self.steps_per_epoch = epoch, step + 1, total
        self.losses = dict(losses)
        # a moving average, so that one slow step does not shake the estimate
        self.seconds_per_step += (seconds - self.seconds_per_step) * (0.1 if self.seconds_per_step else 1.0)

    @property
    def done(self) -> int:
        """Steps done in the whole run; earlier stages count as complete, even if they ended early."""
        return sum(map(self._steps, self.stages[: self.stage_number - 1])) + self._done_in_stage

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return sum(map(self._steps, self.stages)) or self.epochs * self.steps_per_epoch

    @property
    def _done_in_stage(self) -> int:
        return self.epoch_number * self.steps_per_epoch + self.step_in_epoch

    def _steps(self, stage: Mapping[str, Any]) -> int:
        """Steps of a stage; if it is not known, epochs are as long as those of this stage."""
        return int(stage["epochs"] * stage.get("steps per epoch", self.steps_per_epoch))

    def epoch_done(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.epoch_number, self.step_in_epoch = epoch, self.steps_per_epoch
        self.measured = dict(metrics)
        for name, value in metrics.items():
            self.validation.setdefault(name, []).append(value)

    def remaining(self) -> float:
        """Seconds until the end of the last stage."""
        left = float(max(self.epochs * self.steps_per_epoch - self._done_in_stage, 0))
        for number, stage in enumerate(self.stages, 1):
            if number > self.stage_number:
                left += self._steps(stage) * self._times_as_long(number)
        return self.seconds_per_step * left

    def _times_as_long(self, number: int) -> float:
        """How many times as long a step of another stage takes as one of this stage, by the measured times; 1 if they
        are not known."""
        measured = {n: stage.get("seconds per step") for n, stage in enumerate(self.stages, 1)}
        now, then = measured.get(self.stage_number), measured.get(number)
        return then / now if now and then else 1.0

    def best(self, name: str) -> float | None:
        """The best value so far; None if the better direction is unknown."""
        metric = self.plan.get("metrics", {}).get(name.rsplit("/", 1)[-1])
        if metric is None:
            return None
        return (max if metric["higher_is_better"] else min)(self.validation[name])

    def header(self) -> str:
        known = (self.plan.get(key) for key in ("recipe", "device", "run"))
        return " · ".join(str(value) for value in known if value)

    def stage_title(self) -> str:
        of = len(self.stages)
        return f"stage {self.stage_number}{f'/{of}' if of else ''} {self.stage_name}"

    def line(self, *, validation: bool = False) -> str:
        parts = [
            f"{self.stage_title()}, epoch {self.epoch_number + 1}/{self.epochs}",
            f"step {self.done}/{self.total}",
            f"{self.seconds_per_step:.2f} s/step",
            f"ETA {duration(self.remaining())}",
            *(f"{name} {value:.4g}" for name, value in self.losses.items()),
        ]
        if validation and self.measured:
            parts.append("validation: " + ", ".join(f"{n} {v:.4g}" for n, v in self.measured.items()))
        return " · ".join(parts)


def _losses(losses: Mapping[str, float]) -> Table:
    """Terms below their roles, with names in full."""
    table = Table("loss", "", box=None, header_style="dim", padding=(0, 1))
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    table.columns[1].justify, table.columns[1].min_width = "right", 9
    for role in dict.fromkeys(name.partition("/")[0] for name in losses):
        table.add_row(Text(role, "dim"), "")
        for name, value in losses.items():
            own, _, term = name.partition("/")
            if own == role:
                table.add_row(Text(f"  {term}"), f"{value:.4g}")
    return table


def _validation(state: _State) -> Table:
    """The last and the best value of each validation metric."""
    table = Table("validation", "last", "best", box=None, header_style="dim", padding=(0, 1))
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify, column.min_width = "right", 9
    for name, values in state.validation.items():
        best = state.best(name)
        table.add_row(Text(name), f"{values[-1]:.4g}", "–" if best is None else f"{best:.4g}")
    return table


class _LiveBar:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self.bars, self.task = bars, task
        self.began = time.monotonic()

    def advance(self, n: int = 1) -> None:
        self.bars.advance(self.task, n)
        task = self.bars.tasks[self.bars.task_ids.index(self.task)]
        if task.total and task.completed:
            left = (time.monotonic() - self.began) / task.completed * (task.total - task.completed)
            self.bars.update(self.task, eta=f"ETA {duration(left)}")


class _LiveProgress:
    """Bars inside the display's panel."""

    def __init__(self, display: RunDisplay) -> None:
        self.display = display

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Bar]:
        bars = self.display._bars
        self.display._start()
        task = bars.add_task(description, total=total, eta="")
        try:
            yield _LiveBar(bars, task)
        finally:
            bars.remove_task(task)

    def note(self, text: str) -> None:
        self.display.note(text)
