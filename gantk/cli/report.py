"""`gantk report`: write a run's report again."""

from __future__ import annotations

from gantk.cli.console import write
from gantk.cli.options import RunName


def report(run: RunName) -> None:
    """Write report.html of a run again, from what its folder holds."""
    import gantk

    folder = gantk.resolve_run(run)
    from gantk.report.html import write_report

    write(str(write_report(folder)))
