"""Bounds of the segmentation probe are cached by all that they depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantk.evaluation.bounds import digest, keep, known


def test_everything_that_scores_depend_on_changes_the_key() -> None:
    images = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    keys = [
        digest({"steps": 5, "seed": 0}, [images, None], ["a", "b"]),
        digest({"steps": 6, "seed": 0}, [images, None], ["a", "b"]),
        digest({"steps": 5, "seed": 0}, [None, images], ["a", "b"]),
        digest({"steps": 5, "seed": 0}, [images + 1, None], ["a", "b"]),
        digest({"steps": 5, "seed": 0}, [images.reshape(2, 4, 3), None], ["a", "b"]),
        digest({"steps": 5, "seed": 0}, [images.astype(np.float64), None], ["a", "b"]),
        digest({"steps": 5, "seed": 0}, [images, None], ["b", "a"]),
    ]
    assert len({*keys}) == len(keys)
    assert digest({"seed": 0, "steps": 5}, [images.copy(), None], ["a", "b"]) == keys[0]


def test_scores_are_kept_and_a_damaged_or_unwritable_cache_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    assert known("k") is None
    keep("k", {"a": {"dice": 0.5}})
    assert known("k") == {"a": {"dice": 0.5}}
    (file,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    file.write_text("{")
    assert known("k") is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "file"))
    keep("k", {})
    assert known("k") is None
