"""`gantk report`: write the report of a run or sweep again."""

from __future__ import annotations

from gantk.cli.console import write
from gantk.cli.options import RunName


def report(run: RunName) -> None:
    """Write report.html of a run or sweep again, from what its folder holds."""
    import gantk
    from gantk.report.html import write_report
    from gantk.report.sweep import write_sweep_report

    folder = gantk.resolve_run(run)
    sweep = (folder / "sweep.json").is_file()
    write(str(write_sweep_report(folder) if sweep else write_report(folder)))
