"""Files of figures."""

from __future__ import annotations

import re
import zlib

import pytest
from PIL import Image

from gantk.errors import UsageError
from gantk.evaluation.examples import Examples
from gantk.report.comparison import Shown, combine, draw_comparison
from gantk.report.saving import save_figure


@pytest.fixture
def shown(examples: Examples) -> dict[str, Shown]:
    return {role: Shown.of(examples, 0, role) for role in ("teacher", "student")}


def test_files_keep_their_text_and_do_not_depend_on_the_day(shown, tmp_path):
    for name in ("a.png", "b.png", "a.pdf", "b.pdf"):
        save_figure(draw_comparison(combine("Patient7, slice 3", shown)), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 1500
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf  # TrueType, so that text stays text
    streams = [zlib.decompress(s) for s in re.findall(rb"FlateDecode >>\nstream\n(.*?)\nendstream", pdf, re.DOTALL)]
    assert any(b"BT" in stream and b"Tf" in stream for stream in streams)
    with pytest.raises(UsageError, match=r"\.png or \.pdf"):
        save_figure(draw_comparison(combine("p", shown)), tmp_path / "a.gif")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]
