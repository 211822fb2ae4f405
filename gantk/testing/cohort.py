"""Tiny data sets on disk: patients as NIfTI in the layout of BraTS, and pairs of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

__all__ = ["MODALITIES", "SHAPE", "write_cohort", "write_patient", "write_pictures", "write_volume"]

SHAPE = (30, 34, 8)
"""Voxels of a patient: left to right, front to back, bottom to top."""
MODALITIES = ("t1", "t2", "flair", "t1ce")
LPS = np.diag([-3.0, -3.0, 6.0, 1.0])


def write_volume(path: Path, voxels: np.ndarray, affine: np.ndarray = LPS) -> Path:
    """Write a NIfTI file, by default with voxels of 3 × 3 × 6 mm in LPS order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def write_patient(
    folder: Path,
    seed: int = 0,
    modalities: Sequence[str] = MODALITIES,
    *,
    tumour: bool = True,
    shape: tuple[int, int, int] = SHAPE,
) -> Path:
    """Write one patient: a smooth pattern with noise in each modality, and a segmentation.

    Args:
        folder: the patient's folder, whose name is the patient's id.
        seed: another seed gives another patient.
        modalities: files `ID_MODALITY.nii.gz`.
        tumour: whether the middle slices show a tumour with core; there is a segmentation either way.
        shape: voxels.
    """
    random = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.8
    for number, name in enumerate(modalities):
        image = brain * (300 + 100 * np.sin(3 * x * (number + 1) + seed) + random.uniform(0, 20, shape))
        write_volume(folder / f"{folder.name}_{name}.nii.gz", image.astype(np.int16))
    labels = np.zeros(shape, np.uint8)
    if tumour:
        middle = [n // 2 for n in shape]
        for label, reach in ((2, (4, 4, 2)), (4, (2, 2, 1)), (1, (1, 1, 1))):
            labels[tuple(slice(m - r, m + r) for m, r in zip(middle, reach, strict=True))] = label
    write_volume(folder / f"{folder.name}_seg.nii.gz", labels)
    return folder


def write_cohort(root: Path, patients: int = 10, modalities: Sequence[str] = MODALITIES) -> Path:
    """Write patients P0, P1, …, for `dataset = "brats"`; ten are enough for every part of the default split."""
    for number in range(patients):
        write_patient(root / f"P{number}", number, modalities)
    return root


def write_pictures(root: Path, pairs: int = 4, size: tuple[int, int] = (32, 40), *, aligned: bool = True) -> Path:
    """Write coloured PNG files for `dataset = "images"`: so many for training, and two each for validation and test.

    Args:
        root: the data set's folder.
        pairs: training pairs, or training images of each kind.
        size: H and W.
        aligned: pairs side by side in one file (train/0.png), or images of two kinds (trainA/0.png, trainB/0.png).
    """
    random = np.random.default_rng(0)
    for part, count in (("train", pairs), ("val", 2), ("test", 2)):
        for number in range(count):
            a = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            images = {part: np.concatenate([a, 255 - a], axis=1)} if aligned else {f"{part}A": a, f"{part}B": 255 - a}
            for folder, pixels in images.items():
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / folder / f"{number}.png")
    return root
