"""`gantk compare`, from folders to what is written."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import call
from gantk.cli.compare import _run_and_method


def test_compare_shows_differences(runs: Path) -> None:
    result = call("compare", "abl-other", runs / "abl" / "children" / "full-1", "--reference", "abl-other/teacher")
    assert result.exit_code == 0, result.stderr
    assert "Difference from teacher of abl-other" in result.stdout
    assert "SSIM brain" not in result.stdout.split("Difference from")[1]
    found = call("compare", "abl-other", "--all-regions", "--json")
    assert set(json.loads(found.stdout)["rows"][0]["differences"]) == {"ssim", "ssim_brain"}
    assert call("compare", "abl-other", "--reference", "abl-other/studnt").exit_code == 2


def test_a_sweep_is_no_run_to_compare(runs: Path) -> None:
    result = call("compare", "abl", "abl-other")
    assert result.exit_code == 2
    assert "gantk table" in result.stderr


def test_a_reference_is_a_run_or_a_method_of_one(runs: Path) -> None:
    other = runs / "abl-other"
    assert _run_and_method("abl-other", runs) == (other, None)
    assert _run_and_method("abl-other/teacher", runs) == (other, "teacher")
    assert _run_and_method(str(other), runs) == (other, None), "the slash of a path is no method's"
    assert _run_and_method(f"{other}/teacher", runs) == (other, "teacher")
