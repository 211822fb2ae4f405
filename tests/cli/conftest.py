"""A sweep and a run that were evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from measured_runs import evaluate


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`runs/abl`, a sweep of two variants and two seeds of which one is missing, and `runs/abl-other`, a run."""
    monkeypatch.chdir(tmp_path)
    sweep = tmp_path / "runs" / "abl"
    children = []
    for variant, mean in (("full", 0.8), ("bare", 0.7)):
        for seed in (1, 2):
            id_ = f"{variant}-{seed}"
            children.append({"id": id_, "variant": variant, "changes": {"run.seed": seed}, "label": variant})
            if id_ != "bare-2":
                folder = evaluate(sweep / "children" / id_, seed, mean)
                (folder / "child.json").write_text(json.dumps({"parent": "abl", **children[-1]}), encoding="utf-8")
    (sweep / "sweep.json").write_text(json.dumps({"name": "abl", "children": children}), encoding="utf-8")
    (sweep / "recipe.toml").write_text(
        'name = "abl"\n[variants.full]\nlabel = "All of it"\n[variants.bare]\n[sweep]\n"run.seed" = [1, 2]\n',
        encoding="utf-8",
    )
    evaluate(tmp_path / "runs" / "abl-other", 1, 0.9)
    return tmp_path / "runs"
