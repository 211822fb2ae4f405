"""The picture of the phantom in the documentation."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from gantk.phantom.picture import draw
from phantoms import SEED, SPACING


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "phantom.png", subjects=(0,), spacing=SPACING, seed=SEED)
    assert plt.imread(tmp_path / "phantom.png").shape[:2] == (50, 5 * 39)
