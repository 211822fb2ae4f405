"""`gantk export`: what it hands over, and how it tells what was made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from command_line import call
from gantk.api import export


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"multiple": 4}, "height and width: multiples of 4"),
        ({"multiple": 1}, "height and width: any size"),
        ({"multiple": None}, "height and width: 32 × 48"),
        ({"dimensions": 3}, "windows of 8 × 16 × 16 voxels, overlap 0.25, gaussian"),
    ],
)
def test_what_the_network_takes_is_said(
    runs: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    windows = SimpleNamespace(size=(8, 16, 16), overlap=0.25, blend="gaussian")
    known = {"takes": ("t1", "t2"), "target": "t1ce", "dimensions": 2, "multiple": None, "windows": windows} | changes
    description = SimpleNamespace(**known, settings=SimpleNamespace(crop=(32, 48)))
    asked: dict[str, Any] = {}

    def exported(run: Path, out: Path, **options: Any) -> SimpleNamespace:
        asked.update(options, run=run, out=out)
        files = (out, out.with_name(f"{out.name}.json"))
        return SimpleNamespace(
            description=description, role="student", remarks=["heads are left out"], difference=2.5e-7, slice="P1, 7",
            files=files,
        )  # fmt: skip

    monkeypatch.setattr(export, "export", exported)
    result = call("export", "abl-other", "-o", "x.onnx", "--role", "student", "--target", "t1ce", "--overwrite")
    assert result.exit_code == 0, result.stderr
    assert asked == {
        "run": runs / "abl-other", "out": Path("x.onnx"), "role": "student", "target": "t1ce", "overwrite": True,
    }  # fmt: skip
    assert result.stdout.splitlines() == [
        f"student: t1, t2 -> t1ce; {said}",
        "heads are left out",
        "Largest difference from the torch module: 2.5e-07 (P1, 7)",
        "x.onnx",
        "x.onnx.json",
    ]
