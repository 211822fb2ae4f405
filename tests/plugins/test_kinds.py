"""The kinds of components, and their hooks."""

from __future__ import annotations

from gantk.plugins import hookspecs
from gantk.plugins.kinds import KINDS


def test_every_kind_has_a_hook_and_every_hook_a_kind() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("register_")}
    assert {kind.hook for kind in KINDS.values()} == hooks
    assert all(KINDS[kind.name] is kind and kind.hook == f"register_{kind.plural}" for kind in KINDS.values())


def test_what_the_core_supplies_is_no_key_of_the_recipes_table() -> None:
    assert {kind.name: kind.supplied & kind.reserved for kind in KINDS.values() if kind.supplied & kind.reserved} == {}
