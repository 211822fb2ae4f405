"""The table of predictions: what is written is read, and nothing else stops a call."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantk.api.predictions import Prediction, Predictions, read_predictions

ROWS = [
    Prediction("P1", "made", "P1_t1ce.nii.gz", "run:student", metrics={"ssim": 0.5}),
    Prediction("P2", "failed", note="no 't1' image"),
    Prediction("P3", "kept", "P3_t1ce.nii.gz", "run:student", metrics={"psnr": 20.25}),
]


def test_there_and_back(tmp_path: Path) -> None:
    found = Predictions(tmp_path, ROWS)
    found.write()
    assert [row.subject for row in found.failed] == ["P2"]
    assert found.counts == {"made": 1, "kept": 1, "failed": 1}
    assert found.table.read_text().splitlines()[0] == "subject,status,file,made_by,note,ssim,psnr"
    assert read_predictions(found.table) == {"P1": ROWS[0], "P3": ROWS[2]}  # who failed is tried again


@pytest.mark.parametrize("content", [b"", b"\xff", b"a,b\n1,2\n", b'subject,file\n"P1', b"subject,file\nP1,\n"])
def test_a_table_of_something_else_is_no_table(content: bytes, tmp_path: Path) -> None:
    assert read_predictions(tmp_path / "predictions.csv") == {}
    (tmp_path / "predictions.csv").write_bytes(content)
    assert read_predictions(tmp_path / "predictions.csv") == {}
