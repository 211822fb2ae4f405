"""Loading of plugins, one entry point at a time: a broken plugin is reported and does not affect the others."""

from __future__ import annotations

import inspect
import os
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy

from gantk.errors import PluginError, nearest
from gantk.plugins import hookspecs
from gantk.plugins.api import API
from gantk.plugins.blame import mend_of, place_of
from gantk.plugins.component import Component
from gantk.plugins.kinds import KINDS
from gantk.plugins.registry import Registry

GROUP = "gantk"


@dataclass(frozen=True)
class PluginInfo:
    """The state of one plugin."""

    name: str
    version: str
    distribution: str
    state: Literal["loaded", "failed", "disabled"]
    reason: str = ""


@dataclass
class Session:
    """The plugins of one session: its pluggy manager, the registry, and the state of each plugin."""

    manager: pluggy.PluginManager
    registry: Registry = field(default_factory=Registry)
    plugins: list[PluginInfo] = field(default_factory=list)

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks, to be called with keyword arguments."""
        return self.manager.hook


def load_plugins(found: Iterable[EntryPoint] | None = None, *, strict: bool = True) -> Session:
    """Load every plugin of the entry-point group `gantk`.

    A plugin that fails is not loaded, with a recorded reason; the others are. `GANTK_PLUGINS` (names, comma-separated)
    restricts loading to these, `GANTK_DISABLE_PLUGINS` excludes some, `GANTK_TRACE_PLUGINS=1` reports on standard error
    which plugins are loaded, in which order, how long each takes, and the tracebacks of failures.

    A plugin's module may define `gantk_api = 1`, the API version that it was written for, and
    `gantk_renamed = {"loss": {"old": "new"}}`, old names of components that recipes may still use.

    Args:
        found: the entry points to load; default: the installed ones.
        strict: raise on a name clash, as all commands that need the components do; otherwise the second plugin fails.

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
        began = time.perf_counter()
        owners = {_owner(point)[0] for point in claims}
        if len(owners) > 1:
            clash = PluginError(
                f"the plugin name {name!r} is claimed by the distributions {' and '.join(sorted(owners))}",
                mend="uninstall one of them",
            )
            if strict:
                raise clash
            info = PluginInfo(name, "", ", ".join(sorted(owners)), "failed", str(clash))
        else:
            info = _load_one(session, claims[0], strict)
        session.plugins.append(info)
        if info.state != "loaded":
            session.registry.absent[name] = f"the plugin {name} is {info.state}: {info.reason}"
        if _tracing():
            _trace(session, info, time.perf_counter() - began)
    return session


def _owner(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else (point.value, "")


def _names(variable: str) -> set[str]:
    return {name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()}


def _tracing() -> bool:
    return os.environ.get("GANTK_TRACE_PLUGINS", "0") not in ("", "0")


def _trace(session: Session, info: PluginInfo, seconds: float) -> None:
    """One line on standard error."""
    counts = Counter(KINDS[c.kind].plural for c in session.registry if c.plugin == info.name)
    what = (
        ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in counts.items())
        if info.state == "loaded"
        else info.reason
    )
    owner = f"{info.distribution} {info.version}".strip()
    sys.stderr.write(
        f"gantk: plugin {info.name} ({owner}) {info.state} after {seconds:.3f} s: {what or 'no components'}\n"
    )


def _load_one(session: Session, point: EntryPoint, strict: bool) -> PluginInfo:
    distribution, version = _owner(point)
    only, without = _names("GANTK_PLUGINS"), _names("GANTK_DISABLE_PLUGINS")
    if point.name in without or (only and point.name not in only):
        reason = "GANTK_DISABLE_PLUGINS" if point.name in without else "not in GANTK_PLUGINS"
        return PluginInfo(point.name, version, distribution, "disabled", reason)

    def failed(error: BaseException) -> PluginInfo:
        if session.manager.has_plugin(point.name):
            session.manager.unregister(name=point.name)
        if _tracing():
            traceback.print_exception(error)
        return PluginInfo(point.name, version, distribution, "failed", _reason(error))

    try:
        plugin = point.load()
        _check_api(plugin)
        _check_hooks(session.manager, plugin)
        session.manager.register(plugin, name=point.name)
        components = _components(session, point.name, version, distribution)
        components = _with_former_names(components, getattr(plugin, "gantk_renamed", {}))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # any exception of a plugin is reported as its failure
        return failed(error)
    try:
        session.registry.add(*components)
    except PluginError as error:
        if strict:
            raise
        return failed(error)
    return PluginInfo(point.name, version, distribution, "loaded")


def _reason(error: BaseException) -> str:
    """Why a plugin is not loaded, and what to do, in one line."""
    if isinstance(error, PluginError):
        return str(error)
    place = place_of(error)
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    mend = f"{mend_of(error)}; GANTK_TRACE_PLUGINS=1 shows the traceback"
    return str(PluginError(what, why=f"it was raised at {place}" if place else None, mend=mend))


def _check_api(plugin: object) -> None:
    """Check that this version of gantk offers the API that the plugin was written for.

    Raises:
        PluginError: it was written for a newer API, or its `gantk_api` is not a number.
    """
    wanted = getattr(plugin, "gantk_api", API)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise PluginError(f"gantk_api is {wanted!r}", mend=f"write the number of the API, gantk_api = {API}")
    if wanted > API:
        raise PluginError(
            f"it was written for version {wanted} of the plugin API, and this gantk has version {API}",
            mend="upgrade gantk, `pip install -U gantk`, or install an older version of the plugin",
        )


def _check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Check that all functions that are meant as hooks are hooks.

    Raises:
        PluginError: a hook's name or an argument matches nothing, or a hook is not marked as one.
    """
    callers = {name: getattr(manager.hook, name, None) for name in vars(hookspecs)}
    specs = {name: c.spec.argnames for name, c in callers.items() if isinstance(c, pluggy.HookCaller) and c.spec}
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            if name in specs and inspect.isfunction(getattr(plugin, name)):
                raise PluginError(f"the function {name} is not a hook yet", mend="put @gantk.hookimpl above it")
            continue
        if name not in specs:
            if options["optionalhook"]:
                continue
            raise PluginError(f"there is no hook {name!r}", mend=nearest(name, specs))
        known = set(specs[name])
        for argument in inspect.signature(getattr(plugin, name)).parameters:
            if argument not in known:
                takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
                raise PluginError(f"the hook {name} takes no argument {argument!r}", mend=takes)


def _components(session: Session, plugin: str, version: str, distribution: str) -> list[Component]:
    found = []
    for kind in KINDS.values():
        for implementation in getattr(session.hook, kind.hook).get_hookimpls():
            if implementation.plugin_name != plugin:
                continue
            classes = implementation.function()
            if not isinstance(classes, Mapping):
                raise PluginError(
                    f"{kind.hook} returned {classes!r}",
                    mend='let it return classes by name: return {"my_name": MyClass}',
                )
            for name, cls in classes.items():
                component = Component(name, kind.name, cls, plugin, version, distribution)
                component.verify()
                found.append(component)
    return found


def _with_former_names(components: list[Component], renamed: Any) -> list[Component]:
    """The components with their names in earlier versions of the plugin.

    Raises:
        PluginError: `gantk_renamed` is not `{"KIND": {"OLD": "NEW"}}`, or names a component that is not the plugin's.
    """
    mend = 'write gantk_renamed = {"loss": {"old_name": "new_name"}}'
    former: dict[tuple[str, str], list[str]] = defaultdict(list)
    own = {(c.kind, c.name) for c in components}
    if not isinstance(renamed, Mapping):
        raise PluginError(f"gantk_renamed is {renamed!r}", mend=mend)
    for kind, names in renamed.items():
        if kind not in KINDS or not isinstance(names, Mapping):
            raise PluginError(f"gantk_renamed says {kind!r}: {names!r}", mend=f"{mend}; kinds are {', '.join(KINDS)}")
        for old, new in names.items():
            if (kind, new) not in own or (kind, old) in own:
                what = "which it does not supply" if (kind, new) not in own else f"and supplies {old!r} as well"
                raise PluginError(f"gantk_renamed calls the {kind} {old!r} now {new!r}, {what}", mend=mend)
            former[kind, new].append(old)
    return [replace(c, formerly=tuple(former[c.kind, c.name])) for c in components]
