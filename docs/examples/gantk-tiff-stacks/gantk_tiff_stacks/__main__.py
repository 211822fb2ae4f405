"""`python -m gantk_tiff_stacks FOLDER` writes synthetic specimens: cells whose fluorescence depends on the stain."""

import csv
import sys
from pathlib import Path

import numpy as np
import tifffile

STAINS = ("dapi", "gfp")


def write(root: Path, specimens: int = 12) -> Path:
    """Write specimens of two stains, each with five pages of 40 × 48 pixels; returns the folder."""
    root.mkdir(parents=True, exist_ok=True)
    rows = []
    y, x = np.mgrid[:40, :48]
    for number in range(specimens):
        random, stain = np.random.default_rng(number), STAINS[number % 2]
        cells = np.zeros((5, 40, 48))
        for _ in range(12):
            place = random.uniform((0, 6, 6), (5, 34, 42))
            depth = np.arange(5)[:, None, None]
            distance = ((depth - place[0]) * 3) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2
            cells += np.exp(-distance / random.uniform(8, 30))
        inside = (y - 20) ** 2 / 18**2 + (x - 24) ** 2 / 22**2 < 1
        phase = np.where(inside, 9000 + 20000 * np.clip(cells, 0, 1.5) + random.normal(0, 400, cells.shape), 0)
        bright = np.clip(cells, 0, 1.5) ** (1 if stain == "dapi" else 2)
        fluorescence = np.where(inside, 2000 + (30000 if stain == "dapi" else 16000) * bright, 0)
        folder = root / f"S{number:02d}"
        folder.mkdir(exist_ok=True)
        for name, image in (("phase", phase), ("fluorescence", fluorescence)):
            tifffile.imwrite(
                folder / f"{name}.tif", np.clip(image, 0, 65535).astype(np.uint16), photometric="minisblack"
            )
        rows.append({"specimen": folder.name, "patient": f"P{number // 2}", "stain": stain})
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    return root


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
