"""The picture of the phantom in the documentation."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import matplotlib.pyplot as plt

from phantoms import SEED, SPACING


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw = run_path(str(Path(__file__).parents[1] / "bench" / "draw_phantom.py"))["draw"]
    draw(tmp_path / "phantom.png", subjects=(0,), spacing=SPACING, seed=SEED)
    assert plt.imread(tmp_path / "phantom.png").shape[:2] == (50, 5 * 39)
