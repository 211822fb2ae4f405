"""Pictures inside a page."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantk.report.html import write_report
from page import Page


def test_pictures_are_pictures(run: Path):
    text = write_report(run).read_text(encoding="utf-8")
    pictures = re.findall(r'src="data:image/(webp);base64,([^"]+)" width="(\d+)" height="(\d+)"', text)
    assert text.count('class="strips"') == 2
    assert text.count('alt="validation panel, step') == 6  # of twelve steps, the first and the last among them
    assert "step 100<" in text
    assert "step 1,200<" in text
    for _, data, width, height in pictures:
        with Image.open(BytesIO(base64.b64decode(data))) as image:
            assert image.size == (int(width), int(height))
    assert all(Page(text).alternatives)


def test_a_page_of_many_pictures_is_small_enough_to_send(run: Path, monkeypatch: pytest.MonkeyPatch):
    """Pictures that nothing compresses get less quality, then fewer pixels, and are shown as large as they were."""
    for name, value in (("MOST", 300_000), ("LEAST", 80_000)):  # smaller than 1.5 MB, to be quick
        monkeypatch.setattr(f"gantk.report.pictures.{name}", value)
    noise = np.random.default_rng(0).integers(0, 256, (210, 270, 3), dtype=np.uint8)
    for path in run.glob("panels/validation/*.png"):
        Image.fromarray(noise).save(path)
    text = write_report(run).read_text(encoding="utf-8")
    assert len(text.encode()) <= 300_000
    found = re.findall(r'src="data:image/webp;base64,([^"]+)" width="270" height="210"', text)
    assert len(found) == 6
    with Image.open(BytesIO(base64.b64decode(found[0]))) as image:
        assert image.width < 270
        assert image.width / image.height == pytest.approx(9 / 7, rel=0.02)
