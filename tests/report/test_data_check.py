"""The page of a check of data: what is wrong first, every patient with a picture, and nothing unescaped."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from gantk.data.check.patient import Finding, ImageFacts, PatientCheck
from gantk.report.data_check import write_data_check

ODD, USUAL = (
    ImageFacts(Path("x.nii"), (30, 34, 8), (3.0, 3.0, 6.125), "LPS"),
    ImageFacts(Path("y.nii"), (30, 34, 8), (3.0, 3.0, 6.0), "RAS"),
)


def test_the_page(tmp_path: Path) -> None:
    shown = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (96, 1))
    patients = [
        PatientCheck("good", "good", (), {"t1": USUAL, "t2": USUAL}, 1234.4, {2: 1500}, shown),
        PatientCheck("odd", "odd", (Finding("warning", "is it <registered>?"),), {"t1": ODD, "t2": USUAL}),
        PatientCheck("bad", "bad", (Finding("error", "t1: it is damaged"),)),
    ]
    check = SimpleNamespace(
        source=Path("/data/<mine>"),
        patients=patients,
        findings=[Finding("warning", "of all")],
        modalities=["t1", "t2"],
        count=lambda level: sum(f.level == level for patient in patients for f in patient.findings),
    )
    write_data_check(check, tmp_path / "check.html")  # type: ignore[arg-type]
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert "/data/&lt;mine&gt;" in page
    assert "is it &lt;registered&gt;?" in page
    places = [page.index(said) for said in ("it is damaged", "is it &lt;registered", "1234 ml")]
    assert places == sorted(places), "errors, then warnings, then the others"
    assert "2 (1,500)" in page
    assert "30x34x8, 3x3x6.12 mm, LPS; 30x34x8, 3x3x6 mm, RAS" in page
    (picture,) = re.findall(r"data:image/webp;base64,([^\"]+)", page)
    with Image.open(BytesIO(base64.b64decode(picture))) as image:
        assert image.size == (48, 96)
