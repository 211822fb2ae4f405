"""Errors are one paragraph that says where, what, why and what to do; no secret stands in one."""

from __future__ import annotations

import errno

import pytest

from gantk import errors
from gantk.errors import GantkError, Interrupted, RecipeError, UsageError, nearest, redact


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "it is wrong."),
        ({"where": "a.toml"}, "a.toml: it is wrong."),
        ({"why": "the key is unknown"}, "it is wrong; the key is unknown."),
        ({"why": "Keys are names.", "mend": "correct it"}, "it is wrong. Keys are names; correct it."),
        ({"mend": "did you mean 'x'?"}, "it is wrong; did you mean 'x'?"),
        ({"mend": "go on with", "command": "gantk run x"}, "it is wrong; go on with:\n  gantk run x"),
    ],
)
def test_an_error_is_one_paragraph(given: dict[str, str], said: str) -> None:
    assert str(GantkError("it is wrong", **given)) == said  # type: ignore[arg-type]


def test_an_errors_cause_is_said_without_number_and_path() -> None:
    error = GantkError(
        "this cannot be read", where="a.nii", why=PermissionError(errno.EACCES, "Permission denied", "a")
    )
    assert str(error) == "a.nii: this cannot be read. Permission denied."


def test_exit_codes_tell_mistakes_from_failures() -> None:
    assert (GantkError("x").exit_code, RecipeError("x").exit_code, UsageError("x").exit_code) == (1, 2, 2)
    assert Interrupted("x").exit_code == 130


def test_every_error_is_of_one_tree() -> None:
    classes = [getattr(errors, name) for name in errors.__all__ if name[0].isupper() and name != "GantkWarning"]
    assert len(classes) > 10
    assert all(issubclass(cls, GantkError) for cls in classes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://me:secret@host/x", "http://…@host/x"),
        ("see postgres://u:p@h:1/db and http://a@b", "see postgres://…@h:1/db and http://…@b"),
        ("http://h/?token=abc&x=1", "http://h/?token=…&x=1"),
        ("mssql://h/db?odbc_connect=PWD", "mssql://h/db?odbc_connect=…"),
        ("file:///home/me@work/x", "file:///home/me@work/x"),
        ("http://h/x?page=2", "http://h/x?page=2"),
    ],
)
def test_addresses_are_said_without_secrets(text: str, said: str) -> None:
    assert redact(text) == said
    assert str(GantkError(f"{text} is away", where=text, why=text)).count(said) == 3


def test_the_nearest_name_or_all_of_them() -> None:
    assert nearest("wieght", ["weight", "width"]) == "did you mean 'weight'?"
    assert nearest("zzz", ["weight", "map"]) == "known: map, weight"
    assert nearest("zzz", []) == "none is known"
