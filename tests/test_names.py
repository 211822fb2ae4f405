"""Names and the paths that they become."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gantk.errors import UsageError
from gantk.names import apart, check_id, check_name, path_in

HOSTILE = [
    "",
    ".",
    "..",
    "...",
    "../../../evil",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "..\\evil",
    "C:evil",
    "a\0b",
    "a\nb",
    "a\r",
    "\x1b[31mred",
    "\u202eevil",
    "\ud800",
    " a",
    "a ",
    "a.",
    ".hidden",
    "-rf",
    "x" * 300,
    "ä" * 60,
    "a:b",
    "a*",
    "<b>",
    'say "a"',
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a name"):
        check_name(name)


@pytest.mark.parametrize("name", [n for n in HOSTILE if n != "ä" * 60])  # a file's name may be longer
def test_hostile_names_become_no_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a file"):
        path_in(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["t1ce", "T1 post", "1.5T", "T2-Fläche", "造影", "a2b", "_x", "t1+gd", "aux", "full-2"]
)
def test_ordinary_names_are_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["con", "NUL", "aux.toml", "Com1", "lpt9.x.y"])
def test_devices_of_windows_are_no_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Windows"):
        path_in(tmp_path, name)
    assert path_in(tmp_path, f"x-{name}").parent == tmp_path  # and these are


@given(st.text(max_size=40) | st.text("./\\: ~-_aä\0\n", max_size=12))
@example("..")
def test_a_path_stays_in_its_folder(name: str) -> None:
    folder = Path("/runs/of/mine")
    try:
        check_name(name)
    except ValueError:
        pass
    else:
        assert path_in(folder, f"{name}-1").parent == folder
    try:
        path = path_in(folder, name)
    except UsageError:
        return
    assert path.parent == folder
    assert path.name == name


@pytest.mark.parametrize("name", ["a b", "ä", "a/b", "a+b", "a\n"])
def test_what_is_typed_in_shells_is_plainer(name: str) -> None:
    with pytest.raises(ValueError, match=r"letters|a name"):
        check_id(name)
    assert check_id("v1.2-b_3") == "v1.2-b_3"


def test_names_of_files_differ_in_more_than_capitals() -> None:
    apart(["a", "b", "ab"])
    with pytest.raises(ValueError, match="'a' and 'A' differ only in case"):
        apart(["a", "b", "A"])
