"""Tables in notebooks."""

from __future__ import annotations

from gantk.tables.grids import Cell, Grid, to_html


def test_html_holds_every_cell_and_runs_nothing() -> None:
    section = ((Cell("<script>"), Cell("0.9", best=True)), (Cell("other"), Cell("0.8")))
    page = to_html(Grid("A & B", ("method", "SSIM ↑"), (section,), caption="2 patients", notes=("a < b",)))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>0.9</b>" in page
    assert "<b>0.8</b>" not in page
    assert "<b>A &amp; B</b>" in page
    assert page.endswith("<div>2 patients</div><div>a &lt; b</div>")
    assert page.index("SSIM ↑") < page.index("0.9") < page.index("0.8")
