"""How fast slices are prepared and read: `python tests/bench/bench_store.py [--json]`.

Prepares BraTS-sized patients (240 × 240 × 155 voxels of 1 mm, four images and a segmentation, written first)
with all workers, then draws batches of 3 paired slices at 224 × 224 through the loader, the disk cache warm.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from gantk.data.brats import Brats
from gantk.data.layout import Layout
from gantk.data.loader import Loader
from gantk.data.split import Split
from gantk.data.store import SliceSettings, prepare
from gantk.progress import QuietProgress

SHAPE = (240, 240, 155)
INPUTS, TARGETS = ("t1", "t2", "flair"), ("t1ce",)


def write_patient(folder: Path, seed: int) -> None:
    """A brain-sized ellipsoid of noise with a ball of tumour, compressed as BraTS is."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in SHAPE], indexing="ij", sparse=True)
    brain = (grid[0] / 0.6) ** 2 + (grid[1] / 0.75) ** 2 + (grid[2] / 0.9) ** 2 < 1
    radius = np.sqrt((grid[0] - 0.2) ** 2 + grid[1] ** 2 + grid[2] ** 2)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    folder.mkdir(parents=True)
    for name in (*INPUTS, *TARGETS):
        image = np.where(brain, rng.normal(600, 120, SHAPE), 0).astype(np.int16)
        nib.save(nib.Nifti1Image(image, affine), folder / f"{folder.name}_{name}.nii.gz")
    labels = np.select([radius < 0.08, radius < 0.12, radius < 0.25], [1, 4, 2], 0).astype(np.uint8)
    nib.save(nib.Nifti1Image(labels, affine), folder / f"{folder.name}_seg.nii.gz")


def measure(patients: int, workers: int, batches: int) -> dict[str, float]:
    """Patients prepared and slices read per second; a slice is its three inputs, target and labels."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for number in range(patients):
            write_patient(root / "data" / f"P{number}", number)
        dataset = Brats(root / "data")
        subjects = dataset.subjects(QuietProgress())
        settings = SliceSettings((*INPUTS, *TARGETS), None, (224, 224))
        start = time.perf_counter()
        store = prepare(dataset, subjects, settings, INPUTS, cache=root, workers=workers, progress=QuietProgress())
        prepared = time.perf_counter() - start
        start = time.perf_counter()
        prepare(dataset, subjects, settings, INPUTS, cache=root, workers=workers, progress=QuietProgress())
        opened = time.perf_counter() - start
        loader = Loader(
            store, Split(tuple(store), (), (), ()), layout=Layout(tuple(INPUTS), tuple(TARGETS)), sizes={"paired": 3}
        )
        loader.batch(["paired"], 0, 0, 0)
        start = time.perf_counter()
        for step in range(batches):
            loader.batch(["paired"], 0, 0, step)
        read = time.perf_counter() - start
        return {
            "patients": patients,
            "workers": workers,
            "patients_per_s": patients / prepared,
            "reopened_patients_per_s": patients / opened,
            "slices_per_s": 3 * batches / read,
            "mib_per_patient": sum(f.stat().st_size for f in (root / "slices").rglob("*.npy")) / patients / 2**20,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast slices are prepared and read.")
    parser.add_argument("--patients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.patients, options.workers, options.batches)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:24} {value:10.2f}")


if __name__ == "__main__":
    main()
