"""`gantk data`."""

from __future__ import annotations

from pathlib import Path

from command_line import call


def test_data_phantom_checks_its_arguments(tmp_path: Path) -> None:
    assert call("data", "phantom", tmp_path, "--subjects", "0").exit_code == 2
    assert call("data", "phantom", tmp_path, "--spacing", "0.1").exit_code == 2
