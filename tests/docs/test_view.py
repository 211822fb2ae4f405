"""docs/plugins.md names all that a view offers."""

from __future__ import annotations

import re
from pathlib import Path

from gantk import View

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


def test_the_page_names_all_that_a_view_offers() -> None:
    page = PAGE.read_text(encoding="utf-8")
    tables = page[page.index("The view offers") : page.index("A loss declares its requirements")]
    named = set(re.findall(r"\bview\.([a-z]\w*)", tables))
    offered = {name for name in dir(View) if not name.startswith("_")} | {"role"}
    assert named == offered
