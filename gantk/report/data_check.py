"""The page of `gantk data check`: the findings, and every patient with a thumbnail."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from gantk.data.check import CohortCheck
from gantk.data.check.patient import ImageFacts
from gantk.files import write_text

__all__ = ["write_data_check"]


def write_data_check(check: CohortCheck, path: Path) -> None:
    """Write one self-contained HTML file; atomic.

    Raises:
        OSError: the file cannot be written.
    """
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    patients = [
        {
            "id": patient.id,
            "state": "error" if any(f.level == "error" for f in patient.findings) else "warning",
            "findings": patient.findings,
            "picture": None if patient.thumbnail is None else _picture(patient.thumbnail),
            "images": ", ".join(patient.images),
            "grid": _grid(patient.images.values()),
            "brain": "" if np.isnan(patient.brain) else f"{patient.brain:.0f} ml",
            "labels": ", ".join(f"{label} ({count:,})" for label, count in patient.labels.items()),
        }
        for patient in check.patients
    ]
    page = templates.get_template("data_check.html.jinja").render(
        source=str(check.source),
        count=len(check.patients),
        errors=check.count("error"),
        warnings=check.count("warning"),
        findings=check.findings,
        patients=sorted(patients, key=lambda p: (not p["findings"], p["state"] != "error")),
        modalities=", ".join(check.modalities),
    )
    write_text(path, page)


def _picture(pixels: np.ndarray) -> str:
    data = BytesIO()
    Image.fromarray(pixels).save(data, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"


def _grid(images: Iterable[ImageFacts]) -> str:
    """The shapes, voxel sizes and orientations of a patient's images, without repetition."""
    told: dict[str, None] = {}
    for image in images:
        shape, spacing = "x".join(map(str, image.shape)), "x".join(f"{size:.3g}" for size in image.spacing)
        told[f"{shape}, {spacing} mm, {image.orientation}"] = None
    return "; ".join(told)
