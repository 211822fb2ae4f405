"""`gantk plugins`: list the plugins and their states."""

from __future__ import annotations

from gantk.cli.console import table, write, write_json
from gantk.cli.options import AsJson


def plugins(as_json: AsJson = False) -> None:
    """List the plugins with version, distribution and state, and the reason why a plugin is not loaded.

    GANTK_PLUGINS=a,b loads only these plugins. GANTK_DISABLE_PLUGINS=c loads all but this plugin. With
    GANTK_TRACE_PLUGINS=1, every command reports on standard error which plugins it loads, how long each takes, and the
    tracebacks of failures.
    """
    from rich.text import Text

    from gantk.plugins import load_plugins

    session = load_plugins(strict=False)
    counts: dict[str, int] = {}
    for component in session.registry:
        counts[component.plugin] = counts.get(component.plugin, 0) + 1
    if as_json:
        write_json([{**vars(plugin), "components": counts.get(plugin.name, 0)} for plugin in session.plugins])
        return
    styles = {"loaded": "green", "failed": "red", "disabled": "yellow"}
    rows = [
        (p.name, p.version, p.distribution, Text(p.state, styles[p.state]), str(counts.get(p.name, 0)), p.reason)
        for p in session.plugins
    ]
    write(table(("plugin", "version", "distribution", "state", "components", "reason"), rows))
