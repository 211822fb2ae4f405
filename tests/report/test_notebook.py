"""A run as a notebook's cell shows it."""

from __future__ import annotations

from pathlib import Path

from gantk.report.notebook import MOST, run_html


def test_the_table_slices_and_where_the_report_is(run: Path) -> None:
    html = run_html(run)
    assert html.startswith(f"<div><b>{run.name}</b></div>")
    assert "<table>" in html
    assert "SSIM" in html
    assert html.count('src="data:image/webp;base64,') == MOST
    assert "&lt;b&gt;mean" in html
    assert "<b>mean" not in html, "names of roles are text"
    assert "report.html" not in html
    (run / "report.html").touch()
    assert str(run / "report.html") in run_html(run)


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a<b").mkdir()
    assert run_html(tmp_path / "a<b") == "<div><b>a&lt;b</b></div>"
