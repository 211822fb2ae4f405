"""Loading: every entry point on its own, so that one broken plugin is reported and harms nothing else."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

import pluggy

from gantk.errors import PluginError
from gantk.plugins import hookspecs
from gantk.plugins.kinds import KINDS
from gantk.plugins.registry import Component, Registry

GROUP = "gantk"


@dataclass(frozen=True)
class PluginInfo:
    """What became of one plugin."""

    name: str
    version: str
    distribution: str
    state: Literal["loaded", "failed", "disabled"]
    reason: str = ""


@dataclass
class Session:
    """The plugins of one session: a manager of its own, the registry, and what became of each plugin."""

    manager: pluggy.PluginManager
    registry: Registry = field(default_factory=Registry)
    plugins: list[PluginInfo] = field(default_factory=list)

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks, to be called with keyword arguments."""
        return self.manager.hook


def load_plugins(found: Iterable[EntryPoint] | None = None, *, strict: bool = True) -> Session:
    """Load every plugin of the entry-point group `gantk`.

    A plugin that fails is kept out with its reason and the others go on. `GANTK_PLUGINS` (names, comma-separated)
    restricts loading to those, `GANTK_DISABLE_PLUGINS` leaves some out.

    Args:
        found: the entry points to load; those installed where absent.
        strict: raise on a name clash, as every verb does that needs the components; otherwise the second plugin fails.

    Raises:
        PluginError: two distributions claim one plugin name, or two plugins one component name.
    """
    manager = pluggy.PluginManager("gantk")
    manager.add_hookspecs(hookspecs)
    session = Session(manager)
    points = entry_points(group=GROUP) if found is None else found
    by_name: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in points:
        by_name[point.name].append(point)
    for name, claims in sorted(by_name.items()):
        owners = {_owner(point)[0] for point in claims}
        if len(owners) > 1:
            clash = PluginError(
                f"the plugin name {name!r} is claimed by the distributions {' and '.join(sorted(owners))}",
                mend="uninstall one of them",
            )
            if strict:
                raise clash
            session.plugins.append(PluginInfo(name, "", ", ".join(sorted(owners)), "failed", str(clash)))
        else:
            session.plugins.append(_load_one(session, claims[0], strict))
    return session


def _owner(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else (point.value, "")


def _names(variable: str) -> set[str]:
    return {name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()}


def _load_one(session: Session, point: EntryPoint, strict: bool) -> PluginInfo:
    distribution, version = _owner(point)
    only, without = _names("GANTK_PLUGINS"), _names("GANTK_DISABLE_PLUGINS")
    if point.name in without or (only and point.name not in only):
        reason = "GANTK_DISABLE_PLUGINS" if point.name in without else "not in GANTK_PLUGINS"
        return PluginInfo(point.name, version, distribution, "disabled", reason)

    def failed(error: BaseException) -> PluginInfo:
        if session.manager.has_plugin(point.name):
            session.manager.unregister(name=point.name)
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        return PluginInfo(point.name, version, distribution, "failed", reason)

    try:
        session.manager.register(point.load(), name=point.name)
        session.manager.check_pending()  # a hook name that matches nothing
        components = _components(session, point.name, version)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever a plugin raises is its own failure
        return failed(error)
    try:
        session.registry.add(*components)
    except PluginError as error:
        if strict:
            raise
        return failed(error)
    return PluginInfo(point.name, version, distribution, "loaded")


def _components(session: Session, plugin: str, version: str) -> list[Component]:
    found = []
    for kind in KINDS.values():
        for implementation in getattr(session.hook, kind.hook).get_hookimpls():
            if implementation.plugin_name != plugin:
                continue
            for name, cls in implementation.function().items():
                component = Component(name, kind.name, cls, plugin, version)
                component.verify()
                found.append(component)
    return found
