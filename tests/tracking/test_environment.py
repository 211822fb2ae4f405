from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from gantk.tracking.environment import environment, git_state


def test_environment_is_json_and_names_what_matters() -> None:
    loaded = SimpleNamespace(name="p", version="1", distribution="d", state="loaded")
    failed = SimpleNamespace(name="q", version="1", distribution="d", state="failed")
    found = json.loads(json.dumps(environment([loaded, failed])))
    assert found["plugins"] == [{"name": "p", "version": "1", "distribution": "d"}]
    assert found["packages"]["torch"]
    assert found["cpu_count"] > 0


def test_git_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    clean = git_state(tmp_path)
    assert clean is not None
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    (tmp_path / "file").write_text("2")
    assert git_state(tmp_path) == {**clean, "dirty": True}


def test_no_git_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state() is None
