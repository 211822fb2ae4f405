"""`gantk schema`: the schema on standard output or in a file, and how a recipe names it."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import call
from gantk.plugins import load_plugins
from gantk.plugins.schema import recipe_schema


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    made = recipe_schema(load_plugins().registry)
    assert json.loads(call("schema").stdout) == made
    path = tmp_path / "gantk.schema.json"
    for _ in range(2):  # it may be written again, after another plugin was installed
        result = call("schema", "-o", path)
        assert result.exit_code == 0, result.stderr
        assert result.stdout == ""
        assert "put `#:schema gantk.schema.json` on the first line" in " ".join(result.stderr.split())
        assert json.loads(path.read_text(encoding="utf-8")) == made
