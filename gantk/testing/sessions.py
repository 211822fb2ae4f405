"""Plugin sessions for a single test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, cast

from gantk.errors import PluginError
from gantk.plugins import Registry, Session, load_plugins
from gantk.plugins.hookspecs import hookimpl
from gantk.plugins.loading import GROUP

__all__ = ["session"]


@dataclass(frozen=True)
class _Given:
    """An entry point of an object that is already loaded."""

    name: str
    plugin: object
    dist: None = None

    @property
    def value(self) -> str:
        return self.name

    def load(self) -> object:
        return self.plugin


def session(*plugins: object, installed: bool = True, **components: Mapping[str, type]) -> Session:
    """A plugin session with the given plugins and the installed ones; changes nothing outside the session.

    `session(my_plugin)` registers a module with hooks, `session(loss={"mine": Mine})` classes by kind and name.

    Args:
        plugins: modules, or other objects with hook implementations.
        installed: whether to load the installed plugins, too; gantk's own plugins are always loaded.
        components: classes by name, by kind (`loss` or `losses`).

    Returns:
        The session; its `registry` holds the components, its `hook` calls the lifecycle hooks.

    Raises:
        PluginError: a given plugin cannot be loaded, or two supply one component.
    """
    points = [point for point in entry_points(group=GROUP) if installed or point.value == "gantk.components"]
    known = {point.value for point in points}
    given = [_Given(_name(plugin, i), plugin) for i, plugin in enumerate(plugins) if _name(plugin, i) not in known]
    if components:
        given.append(_Given("given", _plugin(components)))
    made = load_plugins([*points, *cast("list[EntryPoint]", given)])
    names = {point.name for point in given}
    for plugin in made.plugins:
        if plugin.name in names and plugin.state != "loaded":
            raise PluginError(f"the plugin {plugin.name!r} is {plugin.state}", why=plugin.reason)
    return made


def _name(plugin: object, number: int) -> str:
    return str(getattr(plugin, "__name__", f"plugin {number}"))


def _plugin(components: Mapping[str, Mapping[str, type]]) -> ModuleType:
    """A module whose hooks give these classes."""

    def giving(classes: Mapping[str, type]) -> Callable[[], Any]:
        return hookimpl(lambda: classes)

    module = ModuleType("given")
    for kind, classes in components.items():
        setattr(module, Registry.kind(kind).hook, giving(classes))
    return module
