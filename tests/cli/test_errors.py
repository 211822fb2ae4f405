"""Errors in a terminal: one paragraph, an exit code, and a log where nobody expected one."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import gantk
from command_line import call
from gantk.cli import errors
from gantk.errors import DataError, GantkError, Interrupted, RecipeError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("the key is unknown", where="r.toml", mend="did you mean 'x'?"), 2),
        (DataError("the file is cut off", where="a.nii.gz"), 1),
        (Interrupted("the run was interrupted"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_what_a_user_can_mend_is_one_paragraph(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setitem(vars(gantk), "validate", fail)
    result = call("validate", "r.toml")
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    if isinstance(error, GantkError):
        assert str(error) in result.stderr.replace("\n", " ").replace("  ", " ")


def test_an_unexpected_error_leaves_a_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by [zero]")

    monkeypatch.setitem(vars(gantk), "validate", fail)
    monkeypatch.setattr("gantk.cli.errors._log", lambda: tmp_path / "error.log")
    result = call("validate", "r.toml")
    assert result.exit_code == 1
    assert "ZeroDivisionError: by [zero]" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in (tmp_path / "error.log").read_text()
    assert "Traceback" in call("--debug", "validate", "r.toml").stderr


def test_a_warning_ends_in_one_full_stop(capsys: pytest.CaptureFixture[str]) -> None:
    with errors._spoken_warnings():
        warnings.warn(errors.GantkWarning("a sentence."), stacklevel=1)
        warnings.warn(errors.GantkWarning("a clause"), stacklevel=1)
    assert capsys.readouterr().err == "warning: a sentence.\nwarning: a clause.\n"
