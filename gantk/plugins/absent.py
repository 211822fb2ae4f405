"""Plugins that a run was made with and that are not installed now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gantk.errors import PluginError
from gantk.plugins.loading import PluginInfo, Session
from gantk.plugins.registry import MissingComponent

__all__ = ["made_with"]


@contextmanager
def made_with(recorded: Sequence[Mapping[str, Any]], session: Session) -> Iterator[None]:
    """A context in which a run's recipe is built again.

    Args:
        recorded: the plugins that the run was made with, as its checkpoints name them: name, version, distribution.
        session: the current plugins.

    Raises:
        PluginError: a component is missing, and so are recorded plugins; the error names them and a command that
            installs them.
    """
    try:
        yield
    except MissingComponent as error:
        now = {info.name: info for info in session.plugins}
        absent = [plugin for plugin in recorded if not _loaded(now.get(plugin["name"]))]
        if not absent:
            raise
        here = [info for plugin in absent if (info := now.get(plugin["name"])) is not None]
        reasons = [f"{info.name} is installed, but {info.state}: {info.reason.rstrip('.')}" for info in here]
        named = ", ".join(f"{plugin['name']} {plugin['version']}".strip() for plugin in absent)
        mends = [_command(plugin) for plugin in absent if plugin["name"] not in now]
        raise PluginError(
            error.what,
            where=error.where,
            why=". ".join([f"the run was made with {named}, which is not loaded now", *reasons]),
            mend=" and ".join(mends) or "mend what keeps it from being loaded, see `gantk plugins`",
        ) from None


def _loaded(info: PluginInfo | None) -> bool:
    return info is not None and info.state == "loaded"


def _command(plugin: Mapping[str, Any]) -> str:
    distribution, version = plugin.get("distribution") or plugin["name"], plugin.get("version")
    return f"pip install {distribution}{f'=={version}' if version else ''}"
