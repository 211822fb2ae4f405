"""`gantk report`, of runs and of sweeps."""

from __future__ import annotations

from pathlib import Path

from command_line import call


def test_the_report_of_a_run_and_of_a_sweep_is_written_again(runs: Path) -> None:
    for name, said in (("abl-other", "<title>"), ("abl", "All of it")):
        folder = runs / name
        result = call("report", name)
        assert result.exit_code == 0, result.stderr
        assert result.stdout.strip() == str(folder / "report.html")
        assert said in (folder / "report.html").read_text(encoding="utf-8")


def test_a_report_against_another_reference(runs: Path) -> None:
    result = call("report", "abl", "--reference", "bare")
    assert result.exit_code == 0, result.stderr
    assert "Difference from bare" in (runs / "abl" / "report.html").read_text(encoding="utf-8")
    unknown = call("report", "abl", "--reference", "baer")
    assert unknown.exit_code == 2
    assert "did you mean 'bare'?" in unknown.stderr
    single = call("report", "abl-other", "--reference", "bare")
    assert single.exit_code == 2
    assert "gantk compare" in single.stderr
