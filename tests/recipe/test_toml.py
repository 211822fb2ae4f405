"""Files that are recipes, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from base_recipe import LEAST
from gantk.errors import RecipeError, UsageError
from gantk.recipe import load_recipe, recipe_from_table
from gantk.recipe.toml import LARGEST, dotted, parse, shown


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipe.toml"


def test_a_byte_order_mark_is_passed_over(path: Path) -> None:
    path.write_text(LEAST, encoding="utf-8-sig")
    assert load_recipe(path).name == "least"
    path.write_text(LEAST.replace('"least"', "3"), encoding="utf-8-sig")
    with pytest.raises(RecipeError, match=r"recipe\.toml:1: name \(it is 3\)"):
        load_recipe(path)
    child = path.with_name("child.toml")
    child.write_text('extends = "recipe.toml"\nname = "child"\n', encoding="utf-8-sig")
    path.write_text(LEAST, encoding="utf-8-sig")
    assert load_recipe(child).name == "child"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_another_encoding_is_told(path: Path, encoding: str) -> None:
    path.write_bytes(f"# Größe\n{LEAST}".encode(encoding))
    with pytest.raises(RecipeError, match=r"not text in UTF-8; save it as UTF-8"):
        load_recipe(path)


def test_what_is_no_file_is_told(path: Path) -> None:
    with pytest.raises(RecipeError, match="it is a folder"):
        load_recipe(path.parent)
    os.mkfifo(path.with_name("pipe"))
    with pytest.raises(RecipeError, match="not a regular file"):
        load_recipe(path.with_name("pipe"))
    path.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(RecipeError, match="larger than a megabyte"):
        load_recipe(path)
    for bad in ("a\0b.toml", "x" * 5000):
        with pytest.raises(RecipeError, match="cannot be read"):
            load_recipe(path.with_name(bad))
    path.write_text('extends = "\\u0000"')
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(path)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 5000 + "]" * 5000,
        "x = " + "{a=" * 5000 + "1" + "}" * 5000,
        ".".join("a" * 5000) + " = 1",
        "[" + ".".join("a" * 2000) + "]",
        "x = " + "[" * 33 + "]" * 33,
    ],
)
def test_deep_nesting_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"not valid TOML.*nested more than 32 deep"):
        load_recipe(path)
    path.write_text(LEAST)
    if not text.startswith("["):
        with pytest.raises(UsageError, match="cannot read the override"):
            load_recipe(path, [text])
    assert parse("x = [[1], {a = [2]}]") == {"x": [[1], {"a": [2]}]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nan", "nan is not a number"),
        ("[1, [nan]]", "nan is not a number"),
        ("{ deep = { er = nan } }", "nan is not a number"),
        ("[{ er = nan }]", "nan is not a number"),
        ("9" * 30, "more than 64 bits"),
        ("2026-01-01", "no dates and times"),
        ("07:30:00", "no dates and times"),
    ],
)
def test_values_that_no_run_can_be_computed_with(path: Path, value: str, said: str) -> None:
    path.write_text(f"{LEAST}epochs = {value}\n")
    with pytest.raises(RecipeError, match=rf"recipe\.toml:13: schedule\.epochs.*{said}"):
        load_recipe(path)
    path.write_text(LEAST)
    with pytest.raises(UsageError, match=rf"overrides schedule\.epochs.*{said}"):
        load_recipe(path, [f"schedule.epochs={value}"])


def test_tables_made_in_python_may_hold_other_values() -> None:
    table = parse(LEAST)
    table["data"]["root"], table["data"]["size"] = Path("here"), (3, 4)
    assert recipe_from_table(table).data.parameters == {"root": Path("here"), "size": (3, 4)}


def test_a_number_of_thousands_of_digits(path: Path) -> None:
    path.write_text(f"{LEAST}epochs = {'9' * 5000}\n")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(path)
    path.write_text(LEAST)
    with pytest.raises(UsageError, match="cannot read the override"):
        load_recipe(path, [f"schedule.epochs={'9' * 5000}"])
    with pytest.raises(UsageError, match="cannot be written in UTF-8"):
        load_recipe(path, ["description=\udcff"])


def test_keys_and_values_in_messages_are_on_one_line_and_short() -> None:
    assert dotted(("losses", "a-b", "weight")) == "losses.a-b.weight"
    assert dotted(("losses", "a\nb", "")) == r'losses."a\nb".""'
    assert len(dotted(("x" * 999,))) < 120
    assert len(shown(["x" * 999])) < 120
