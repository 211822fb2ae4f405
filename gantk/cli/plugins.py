"""`gantk plugins`: which plugins are there, and what became of them."""

from __future__ import annotations

from gantk.cli.console import write, write_json
from gantk.cli.options import AsJson


def plugins(as_json: AsJson = False) -> None:
    """List plugins: version, distribution, state, and the reason where one is not loaded.

    GANTK_PLUGINS=a,b loads those alone, GANTK_DISABLE_PLUGINS=c all but that; GANTK_TRACE_PLUGINS=1 tells on standard
    error what every verb loads, in which order and time, with tracebacks of what fails.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from gantk.plugins import load_plugins

    session = load_plugins(strict=False)
    counts: dict[str, int] = {}
    for component in session.registry:
        counts[component.plugin] = counts.get(component.plugin, 0) + 1
    if as_json:
        write_json([{**vars(plugin), "components": counts.get(plugin.name, 0)} for plugin in session.plugins])
        return
    table = Table("plugin", "version", "distribution", "state", "components", "reason", box=box.SIMPLE_HEAD)
    styles = {"loaded": "green", "failed": "red", "disabled": "yellow"}
    for plugin in session.plugins:
        cells = (plugin.name, plugin.version, plugin.distribution)
        state = Text(plugin.state, styles[plugin.state])
        table.add_row(*map(Text, cells), state, str(counts.get(plugin.name, 0)), Text(plugin.reason))
    write(table)
