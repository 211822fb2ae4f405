"""The lines of keys, for errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.recipe.locate import at

TEXT = """\
name = "x"

[data]
inputs = ["t1"]
"split.seed" = 3
batch.paired = 2

[losses.l1]
use = "l1"
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("name",), 1),
        (("data", "inputs"), 4),
        (("data", "batch", "paired"), 6),
        (("data", "batch"), 6),  # a key inside the place shows where the place is
        (("data", "crop"), 3),  # the table where the key would be
        (("losses", "l1", "use"), 9),
        (("losses", "l2"), None),
        (("evaluation",), None),
    ],
)
def test_the_line_of_a_key_or_of_the_nearest_table(tmp_path: Path, place: tuple[str, ...], line: int | None) -> None:
    path = tmp_path / "r.toml"
    path.write_text(TEXT)
    assert at(path, place) == (str(path) if line is None else f"{path}:{line}")


def test_a_file_that_cannot_be_read_has_no_lines(tmp_path: Path) -> None:
    assert at(tmp_path / "none.toml", ("name",)) == str(tmp_path / "none.toml")
