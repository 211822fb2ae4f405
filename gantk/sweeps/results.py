"""What readers of a sweep's folder see of its results: `table.md` and `report.html`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gantk.errors import GantkError
from gantk.files import write_text

__all__ = ["write_page", "write_table"]


def write_table(folder: Path) -> None:
    """The table of what is finished, for readers of the folder and for MLflow's description."""
    from gantk.tables.grids import to_markdown
    from gantk.tables.paper import result_table

    try:
        text = to_markdown(result_table([folder]).grid())
    except GantkError as error:  # nothing to show yet, or children that do not compare
        text = f"There is no table: {error}\n"
    write_text(folder / "table.md", text)


def write_page(folder: Path, note: Callable[[str], None]) -> None:
    """The page of the whole sweep; what spoils it must not spoil the sweep."""
    from gantk.report.sweep import write_sweep_report  # matplotlib takes a second to import

    try:
        write_sweep_report(folder)
    except GantkError as error:
        note(f"the sweep's report could not be written: {error}")
