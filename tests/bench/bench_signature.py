"""The signature of a cohort in BraTS layout: `python tests/bench/bench_signature.py COHORT [--curve]`.

How far T1ce is from T1 in each patient, and with `--curve` how a voxelwise regressor learns T1ce with the number
of patients. docs/phantom.md compares real patients with the phantom. About two seconds a patient; the curve takes
some minutes more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

INPUTS, TARGET = ("t1", "t2", "flair"), "t1ce"
VOXEL_MM = 2.0
"""Volumes with finer voxels are smoothed and thinned to about this size, as the real figures were."""

Patient = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""Images, each over twice the 80th percentile of its brain; the brain, bool; the labels. All (X, Y, Z)."""


def patient(images: dict[str, np.ndarray], labels: np.ndarray) -> Patient:
    """Scale a patient's images, each (X, Y, Z) and 0 outside the brain."""
    brain = (images["t1"] > 0) & (images[TARGET] > 0)
    return {name: i / (2 * np.percentile(i[brain], 80)) for name, i in images.items()}, brain, labels


def read(folder: Path) -> Patient:
    """Read a patient's folder; an absent segmentation counts as no tumor."""

    def volume(name: str) -> nib.Nifti1Image:
        return nib.load(next(folder.glob(f"*_{name}.nii*")))

    steps = [max(1, round(VOXEL_MM / size)) for size in volume("t1").header.get_zooms()[:3]]
    thin = tuple(slice(None, None, step) for step in steps)
    images = {}
    for name in (*INPUTS, TARGET):
        full = np.asarray(volume(name).dataobj, np.float32)
        images[name] = gaussian_filter(full, [0.4 * (step - 1) for step in steps])[thin]
    labelled = any(folder.glob("*_seg.nii*"))
    labels = np.asarray(volume("seg").dataobj)[thin] if labelled else np.zeros(images["t1"].shape, np.uint8)
    return patient(images, labels)


def rms(values: np.ndarray) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else float("nan")


def signature(images: dict[str, np.ndarray], brain: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The figures of one patient; "healthy" is brain outside every label, NaN where a region is too small."""
    tumour, enhancing = labels > 0, (labels == 4) | (labels == 3)
    healthy = brain & ~tumour
    before, after = images["t1"], images[TARGET]
    x, y = before[healthy], after[healthy]
    design = np.stack([*(images[name][healthy] for name in INPUTS), np.ones_like(x)], axis=1)
    weights, *_ = np.linalg.lstsq(design, y, rcond=None)
    some = enhancing.sum() > 20
    return {
        "correlation": float(np.corrcoef(x, y)[0, 1]),
        "difference": rms(y - x),
        "left by own fit": rms(y - design @ weights),
        "slope on T1": float(weights[0]),
        "T1ce deviation": float(y.std()),
        "T1ce median": float(np.median(y)),
        "T1ce 99th": float(np.percentile(y, 99)),
        "T1ce in ET": float(np.median(after[enhancing])) if some else float("nan"),
        "T1 in ET": float(np.median(before[enhancing])) if some else float("nan"),
        "ET share": float(enhancing.sum() / brain.sum()),
        "tumor share": float(tumour.sum() / brain.sum()),
        "difference in tumor": rms((after - before)[tumour]) if tumour.sum() > 50 else float("nan"),
    }


def learning_curve(patients: list[Patient], seed: int = 0) -> list[tuple[int, float, float]]:
    """RMSE of voxelwise boosted trees on a quarter of the patients, by number of training patients.

    Returns:
        (patients, in the brain, in the tumor); 0 patients is T1 as the answer.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    random = np.random.default_rng(seed)
    tables = []
    for images, brain, labels in patients:
        some = np.flatnonzero(brain)
        some = random.choice(some, min(6000, some.size), replace=False)
        blurred = (
            gaussian_filter(images[name], sigma) if sigma else images[name] for name in INPUTS for sigma in (0, 1, 3)
        )
        features = np.stack([image.ravel()[some] for image in blurred], axis=1)
        tables.append((features, images[TARGET].ravel()[some], labels.ravel()[some] > 0))

    def together(indices: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.concatenate([tables[i][part] for i in indices]) for part in range(3))

    order = random.permutation(len(tables))
    tested = max(1, len(tables) // 4)
    x, y, tumour = together(order[:tested])
    rest = order[tested:]
    curve = [(0, rms(x[:, 0] - y), rms((x[:, 0] - y)[tumour]))]
    for count in sorted({n for n in (1, 2, 4, 8, 16) if n < len(rest)} | {len(rest)}):
        errors = []
        for _ in range(6 if count < 16 else 2):
            features, target, _ = together(random.choice(rest, count, replace=False))
            trees = HistGradientBoostingRegressor(max_iter=120, learning_rate=0.08, max_leaf_nodes=31)
            error = trees.fit(features, target).predict(x) - y
            errors.append((rms(error), rms(error[tumour])))
        brain_error, tumour_error = np.mean(errors, axis=0)
        curve.append((count, float(brain_error), float(tumour_error)))
    return curve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--curve", action="store_true", help="learn T1ce, too")
    asked = parser.parse_args()
    patients = [read(folder) for folder in sorted(asked.cohort.iterdir()) if folder.is_dir()]
    rows = [signature(*one) for one in patients]
    print(f"{len(rows)} patients: median (10th to 90th percentile)")
    for name in rows[0]:
        low, median, high = np.nanpercentile([row[name] for row in rows], (10, 50, 90))
        print(f"{name:20} {median:7.4f} ({low:7.4f} to {high:7.4f})")
    if asked.curve:
        for count, brain_error, tumour_error in learning_curve(patients):
            print(f"{count:3} training patients: RMSE {brain_error:.4f}, in the tumor {tumour_error:.4f}")


if __name__ == "__main__":
    main()
