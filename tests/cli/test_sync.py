"""`gantk sync` and other verbs on runs that are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from command_line import call


def test_sync_and_friends_say_that_there_is_no_such_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["sync", "none"],
        ["report", "none"],
        ["compare", "none"],
        ["predict", "none", ".", "-o", "x.nii"],
    ):
        result = call(*arguments)
        assert result.exit_code == 2, arguments
        assert "there is no run 'none'" in result.stderr
        assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208
