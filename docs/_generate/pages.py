"""All generated pages."""

from __future__ import annotations

from pathlib import Path

from _generate.api import api_page, testing_page
from _generate.commands import commands_page
from _generate.components import component_pages
from _generate.recipe_keys import recipe_page

__all__ = ["pages"]


def pages(root: Path) -> dict[str, str]:
    """Markdown by path below `docs`.

    Args:
        root: the repository, whose recipes are read for who uses what.
    """
    return {
        "reference/recipe-keys.md": recipe_page(),
        **component_pages(root / "recipes"),
        "reference/commands.md": commands_page(),
        "reference/api.md": api_page(),
        "reference/testing.md": testing_page(),
    }
