"""A sweep measured anew: its runs, its table, its page and MLflow."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tomllib
from pathlib import Path

from typer.testing import CliRunner

import gantk
from gantk.cli.main import app
from gantk.progress import QuietProgress
from gantk.recipe.variants import load_sweep
from gantk.sweeps.folder import write


def test_a_sweep_with_its_table_its_page_and_mlflow(recipe: Path, tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(
        f'extends = "{recipe.as_posix()}"\nname = "seeds"\n[tracking]\nenabled = true\nimages = false\n'
        "checkpoints = false\n[sweep]\n" + '"run.seed" = [0, 1, 2]\n'
    )
    folder = tmp_path / "runs" / "seeds"
    write(folder, load_sweep(path))
    children = sorted((folder / "children").iterdir())
    for child in children[:2]:
        gantk.run(resume=child, device="cpu", progress=QuietProgress())
    command = ["evaluate", str(folder), "--device", "cpu", "--json", "--set", 'evaluation.metrics=["psnr"]']
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.stderr
    assert "1 run of the sweep is not finished" in told.stderr
    assert [set(found["summary"]["metrics"]) for found in json.loads(told.stdout)] == [{"psnr"}] * 2
    assert "PSNR" in (folder / "table.md").read_text()
    assert "SSIM" not in (folder / "table.md").read_text()
    assert (folder / "report.html").is_file()
    metrics = [tomllib.loads((child / "recipe.toml").read_text())["evaluation"]["metrics"] for child in children]
    assert metrics == [["psnr"], ["psnr"], ["mse", "ssim"]]
    with contextlib.closing(sqlite3.connect(tmp_path / "runs" / "mlflow.db")) as database:
        measured = database.execute(
            "select runs.name from latest_metrics join runs using (run_uuid) where key = 'test/psnr'"
        )
        assert {name for (name,) in measured} == {"seed 0", "seed 1"}
        note = database.execute(
            "select value from tags join runs using (run_uuid) where key = 'mlflow.note.content' and name = 'seeds'"
        )
        assert "PSNR" in note.fetchone()[0]
