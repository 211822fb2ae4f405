"""Plugins: hook specifications, loading, and the registry of components."""

from gantk.plugins.api import API
from gantk.plugins.component import Component, Parameter
from gantk.plugins.kinds import KINDS, Kind
from gantk.plugins.loading import PluginInfo, Session, load_plugins
from gantk.plugins.registry import Registry

__all__ = ["API", "KINDS", "Component", "Kind", "Parameter", "PluginInfo", "Registry", "Session", "load_plugins"]
