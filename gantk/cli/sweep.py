"""The display of a sweep: a bar per child on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from gantk.progress import PlainProgress, RichProgress, duration
from gantk.sweeps.display import SweepDisplay
from gantk.sweeps.state import ChildState, SweepResult

__all__ = ["LiveSweep", "children_table"]

#: Seconds between two plain lines.
PLAIN_PAUSE = 60.0
STYLES = {"finished": "green", "failed": "bold red", "interrupted": "yellow", "running": "cyan"}


class LiveSweep(SweepDisplay):
    """Shows the progress of a sweep; a context manager.

    Args:
        console: the console for all output; default: standard error.
        live: bars, or plain lines; by default bars on a terminal.

    Attributes:
        progress: of the work before the first child.
    """

    def __init__(self, console: Console | None = None, live: bool | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.is_live = self.console.is_terminal if live is None else live
        self.progress = RichProgress(self.console) if self.is_live else PlainProgress(self.note)
        self.children: Sequence[ChildState] = ()
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began, self._done_before, self._last_line = time.monotonic(), 0, 0.0

    def __enter__(self) -> LiveSweep:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    # -- events of a sweep ------------------------------------------------------------------------------------

    def begin(self, name: str, children: Sequence[ChildState], *, alone: bool) -> None:
        """The children start; `alone`: each draws on this terminal itself, so nothing is drawn here."""
        self.children = children
        self._began, self._done_before = time.monotonic(), self._done()
        self._last_line = self._began
        finished = sum(child.state == "finished" for child in children)
        self.note(f"sweep {name}: {len(children)} runs, {finished} finished already")
        if self.is_live and not alone:
            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[rest]}"),
                console=self.console,
            )
            self._tasks[""] = self._bars.add_task("[bold]all runs", total=None, rest="")
            self._bars.start()

    def started(self, child: ChildState) -> None:
        """A child was started."""
        if self._bars is not None and child.id not in self._tasks:
            self._tasks[child.id] = self._bars.add_task(child.id, total=child.total, rest="")
        else:
            self.note(f"{self._place(child)} {child.id} ({child.label}) {'continues' if child.done else 'starts'}")

    def ended(self, child: ChildState) -> None:
        """A child ended."""
        if self._bars is not None and child.id in self._tasks:
            self._bars.remove_task(self._tasks.pop(child.id))
        said = f": {child.message}" if child.message and child.state == "failed" else ""
        self.note(f"{self._place(child)} {child.id} {child.state}{said}")

    def look(self) -> None:
        """Draw the states."""
        if self._bars is not None:
            for child in self.children:
                if child.id in self._tasks:
                    rest = "report" if child.state == "finished" else child.stage
                    self._bars.update(self._tasks[child.id], completed=child.done, total=child.total, rest=rest)
            rest = f"{self._count()}{self._eta()}"
            self._bars.update(self._tasks[""], completed=self._done(), total=self._total(), rest=rest)
        elif not self.is_live and time.monotonic() - self._last_line >= PLAIN_PAUSE:
            running = [f"{c.id} {c.done}/{c.total}" for c in self.children if c.state == "running"]
            self.note(f"{self._count()}{self._eta()} · {', '.join(running)}")

    def note(self, text: str) -> None:
        """Show one line; may be called from another thread."""
        self._last_line = time.monotonic()
        self.console.print(Text(text), soft_wrap=True)

    def end(self) -> None:
        """No child is running any more."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    # -- numbers ----------------------------------------------------------------------------------------------

    def _place(self, child: ChildState) -> str:
        return f"[{[c.id for c in self.children].index(child.id) + 1}/{len(self.children)}]"

    def _count(self) -> str:
        finished = sum(child.state == "finished" for child in self.children)
        failed = sum(child.state == "failed" for child in self.children)
        return f"{finished} of {len(self.children)} runs finished" + (f", {failed} failed" if failed else "")

    def _done(self) -> int:
        return sum(_total(c) if c.state == "finished" else c.done for c in self.children)

    def _total(self) -> int:
        return sum(map(_total, self.children))

    def _eta(self) -> str:
        """The time left, estimated from the steps since the start of the sweep; failed children do not count."""
        done = self._done() - self._done_before
        if done <= 0:
            return ""
        left = sum(max(_total(c) - c.done, 0) for c in self.children if c.state in ("waiting", "running"))
        seconds = (time.monotonic() - self._began) / done * left
        return f" · ETA {duration(seconds)}"


def _total(child: ChildState) -> int:
    return child.total if child.total is not None else child.done


def children_table(result: SweepResult) -> Table:
    """Ids, labels, states and steps of a sweep's children."""
    from rich import box

    table = Table(title=f"{result.folder.name}: {len(result.children)} runs", title_justify="left", box=box.SIMPLE_HEAD)
    for title in ("run", "label", "state"):
        table.add_column(title, overflow="fold")
    table.add_column("steps", justify="right")
    for child in result.children:
        steps: Any = "–" if child.total is None else f"{child.done}/{child.total}"
        table.add_row(child.id, child.label, Text(child.state, STYLES.get(child.state, "")), steps)
    return table
