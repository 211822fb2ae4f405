"""A layout's files become the subjects of a table, with one name for a sequence whatever a layout calls it."""

from __future__ import annotations

from typer.testing import CliRunner

from gantk.cli.main import app
from patient_folders import touch


def test_a_table_that_was_edited_is_not_written_over(tmp_path):
    touch(tmp_path, "d/P1/P1_t1.nii.gz")
    table = tmp_path / "cohort.csv"
    table.write_text("mine")
    arguments = ["data", "table", str(tmp_path / "d"), "-o", str(table), "--layout", "brats"]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert table.read_text() == "mine"
    assert CliRunner().invoke(app, [*arguments, "--overwrite"]).exit_code == 0
    assert table.read_text().splitlines() == ["patient,t1", "P1,d/P1/P1_t1.nii.gz"]
