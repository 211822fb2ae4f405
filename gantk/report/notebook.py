"""The display of a run in a notebook."""

from __future__ import annotations

from html import escape
from pathlib import Path

from PIL import Image

from gantk.evaluation.examples import Examples
from gantk.evaluation.results import is_evaluated
from gantk.report.figures import draw_figure
from gantk.report.pictures import as_webp
from gantk.runs.names import EVALUATION, REPORT
from gantk.tables.grids import to_html
from gantk.tables.run import run_table

__all__ = ["run_html"]

MOST = 2
"""Number of slices shown."""


def run_html(run: Path) -> str:
    """The table of a run, its first example slices and the path of its report, as far as they exist."""
    parts = [f"<div><b>{escape(run.name)}</b></div>"]
    if is_evaluated(run / EVALUATION):
        parts.append(to_html(run_table(run).grid()))
    examples = run / EVALUATION / "examples.npz"
    if examples.is_file():
        shown = Examples.load(examples)
        for index in range(min(MOST, len(shown))):
            source = as_webp(Image.fromarray(draw_figure(shown, index)))
            title = escape(shown.titles[index])
            parts.append(f'<div>{title}</div><img style="max-width:100%" alt="{title}" src="{source}">')
    if (run / REPORT).is_file():
        parts.append(f"<div>{escape(str(run / REPORT))}</div>")
    return "".join(parts)
