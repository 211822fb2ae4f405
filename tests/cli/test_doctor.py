"""`gantk doctor`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from command_line import call


def test_doctor_looks_at_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert {
        "python",
        "torch",
        "device",
        "threads",
        "memory",
        "cache",
        "runs",
        "packages",
        "mlflow",
    } <= checks.keys()
    assert str(tmp_path / "cache") in checks["cache"]["found"]
    assert result.exit_code == int(any(check["state"] == "fail" for check in checks.values()))
    assert list(tmp_path.iterdir()) == []


def test_doctor_shows_what_the_dead_left_and_what_is_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    left = [tmp_path / "runs/a/panels/.1-2-3.partial-x.png", tmp_path / "cache/slices/.1-2-3.partial-y"]
    for path in left:
        path.mkdir(parents=True)
        os.utime(path, (0, 0))
    (tmp_path / "runs" / "a" / "recipe.toml").write_text("half = ")
    for name in ("began", "mine", ".1-2-3.partial-new"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "split.csv").write_text("")
    (tmp_path / "runs" / "mine" / "precious.txt").write_text("")
    found = json.loads(call("doctor", "--json").stdout)
    mends = {check["found"]: check["mend"] for check in found if check["name"] == "leftovers"}
    assert mends == {
        "2 half-written files of killed processes": f"rm -r {left[0]} {left[1]}",
        "1 folder of runs that never began": f"rm -r {tmp_path / 'runs' / 'began'}",
    }
    (damaged,) = [check["found"] for check in found if check["name"] == "run a"]
    assert "recipe.toml is not valid TOML" in damaged


def test_doctor_reads_the_slices_to_their_checksums(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    (check,) = [check for check in json.loads(call("doctor", "--json").stdout) if check["name"] == "slices"]
    assert check["state"] == "ok"
    (damaged := tmp_path / "cache" / "slices" / "0a1b").mkdir(parents=True)
    (check,) = [check for check in json.loads(call("doctor", "--json").stdout) if check["name"] == "slices"]
    assert check["state"] == "warn"
    assert "1 of 1" in check["found"]
    assert check["mend"].endswith(f"rm -r {damaged}")


def test_doctor_names_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "file" / "cache"))
    result = call("doctor", "--json", "--tracking-uri", "http://127.0.0.1:1")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert checks["cache"]["state"] == "fail"
    assert "GANTK_CACHE" in checks["cache"]["mend"]
    assert checks["mlflow"]["state"] == "warn"
    assert result.exit_code == 1
