"""`gantk report`: write the report of a run or sweep again."""

from __future__ import annotations

from gantk.cli.console import write
from gantk.cli.options import RunName


def report(run: RunName) -> None:
    """Write report.html of a run or sweep again, from what its folder holds."""
    import gantk

    folder = gantk.resolve_run(run)
    if (folder / "sweep.json").is_file():
        from gantk.report.sweep import write_sweep_report as write_report
    else:
        from gantk.report.html import write_report
    write(str(write_report(folder)))
