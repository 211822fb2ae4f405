"""Output of the command line: answers on standard output, progress and messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gantk.ranks import rank

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["console", "table", "write", "write_json"]


def console() -> Console:
    """The console on standard error, for progress and messages; silent in all processes of a run but the first."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, quiet=rank() > 0)


def write(*renderables: Any) -> None:
    """Write a command's result for people to standard output; text is not wrapped, so that it can be copied."""
    from rich.console import Console
    from rich.text import Text

    if rank():  # only the first process of a run writes results
        return
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = max(out.width, 160)
    for renderable in renderables:
        out.print(renderable, soft_wrap=isinstance(renderable, str | Text), markup=False)


def write_json(content: Any) -> None:
    """Write a command's result for programs: one JSON document on standard output."""
    if rank():
        return
    json.dump(content, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table with column titles; cells wrap if the table is too wide, except in the first column."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        made.add_column(column, no_wrap=i == 0, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made
