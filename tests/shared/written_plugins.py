"""Plugins that tests write and load."""

from __future__ import annotations

from gantk.plugins import PluginInfo, Session

GOOD = """
from gantk import hookimpl

class Halve:
    'Half of everything.'
    def __call__(self, view): ...

@hookimpl
def register_losses():
    return {"halve": Halve}
"""


def info(session: Session, name: str) -> PluginInfo:
    return next(info for info in session.plugins if info.name == name)
