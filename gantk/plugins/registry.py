"""The registry: components by kind and name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

from gantk.errors import GantkWarning, PluginError, RecipeError, UsageError, nearest
from gantk.plugins.component import Component
from gantk.plugins.kinds import KINDS, Kind

__all__ = ["MissingComponent", "Registry"]


class MissingComponent(RecipeError):
    """A recipe names a component that no plugin supplies."""


class Registry:
    """Components by kind and name.

    Attributes:
        absent: the reasons why plugins are not loaded, by name; part of the error if a component is missing.
    """

    def __init__(self) -> None:
        self._components: dict[str, dict[str, Component]] = {kind: {} for kind in KINDS}
        self.absent: dict[str, str] = {}

    def add(self, *components: Component) -> None:
        """Register all components, or none if one cannot be registered.

        Raises:
            PluginError: a name is taken.
        """
        for component in components:
            other = self._components[component.kind].get(component.name)
            if other is not None:
                raise PluginError(
                    f"two plugins supply the {component.kind} {component.name!r}: "
                    f"{other.plugin} {other.version} and {component.plugin} {component.version}",
                    mend=f"remove one, or disable it with GANTK_DISABLE_PLUGINS={component.plugin}",
                )
        for component in components:
            self._components[component.kind][component.name] = replace(component, registry=component.registry or self)

    def names(self, kind: str) -> list[str]:
        """The names of a kind's components, sorted."""
        return sorted(self._components[self.kind(kind).name])

    def get(self, kind: str, name: str, where: str | None = None) -> Component:
        """The component of that name; for a former name, with a warning.

        Raises:
            MissingComponent: there is none.
        """
        known = self._components[self.kind(kind).name]
        if name in known:
            return known[name]
        for component in known.values():
            if name in component.formerly:
                warnings.warn(
                    f"{f'{where}: ' if where else ''}the {kind} {name!r} is now called {component.name!r} "
                    f"(plugin {component.plugin} {component.version}); use this name instead",
                    GantkWarning,
                    stacklevel=2,
                )
                return component
        why = " ".join(f"{reason.rstrip('.')}." for reason in self.absent.values()) or None
        raise MissingComponent(
            f"no plugin supplies the {kind} {name!r}", where=where, why=why, mend=nearest(name, known)
        )

    def __iter__(self) -> Iterator[Component]:
        for kind in self._components.values():
            yield from kind.values()

    @staticmethod
    def kind(name: str) -> Kind:
        """The kind of that name, singular or plural.

        Raises:
            UsageError: there is none.
        """
        for kind in KINDS.values():
            if name.replace("-", "_") in (kind.name, kind.plural):
                return kind
        raise UsageError(f"{name!r} is not a kind of component", mend=nearest(name, [k.plural for k in KINDS.values()]))
