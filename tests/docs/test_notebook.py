"""The notebook of the examples runs from its first cell to its last, and shows what it speaks of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "examples" / "notebook.ipynb"


def test_the_notebook_runs_and_shows_progress_table_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(name, reason=f"notebooks need {name}: pip install 'gantk[test]'")
    import nbclient
    import nbformat

    monkeypatch.setenv("GANTK_CACHE", os.environ["GANTK_CACHE"])
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # those of a reader are not kept
    nbclient.NotebookClient(
        notebook,
        timeout=500,
        startup_timeout=300,
        iopub_timeout=300,  # of outputs that come late, which would be missing
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    trained, shown, predicted = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"][1:]
    lines = [out.data["text/html"] for out in trained if "data" in out]
    assert any("Training finished" in line for line in lines)  # the line that moved stays in its last state
    (page,) = [out.data["text/html"] for out in shown if "data" in out]
    assert "<table>" in page
    assert "SSIM" in page
    assert "data:image/webp;base64," in page
    assert predicted[-1].data["text/plain"] == "(30, 34, 8)"
