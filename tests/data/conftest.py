"""A small cohort of real NIfTI files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SHAPE = (32, 36, 10)
MODALITIES = ("t1", "t2", "flair", "t1ce")
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

WritePatient = Callable[..., Path]


def brain(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """An ellipsoid, bool."""
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return sum(axis**2 for axis in grid) < 0.8


def save(path: Path, array: np.ndarray, affine: np.ndarray = LPS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def make_patient(
    folder: Path,
    modalities: tuple[str, ...] = MODALITIES,
    *,
    seed: int = 0,
    tumour: bool = True,
    seg: bool = True,
) -> Path:
    """Write a BraTS-like patient: other intensities in each modality, tumour with core in some slices."""
    rng = np.random.default_rng(seed)
    for number, name in enumerate(modalities):
        image = brain() * rng.uniform(10, 1000 * (number + 1), SHAPE)
        save(folder / f"{folder.name}_{name}.nii.gz", image.astype(np.int16))
    if seg:
        labels = np.zeros(SHAPE, np.uint8)
        if tumour:
            labels[12:20, 14:22, 2:8] = 2
            labels[14:18, 16:20, 3:5] = 4
            labels[15:17, 17:19, 3:5] = 1
        save(folder / f"{folder.name}_seg.nii.gz", labels)
    return folder


@pytest.fixture(scope="session")
def write_patient() -> WritePatient:
    return make_patient


@pytest.fixture(scope="session")
def write_volume() -> Callable[..., None]:
    return save


@pytest.fixture
def cohort(tmp_path: Path, write_patient: WritePatient) -> Path:
    """Four patients, nested, the last without target and the third without segmentation."""
    root = tmp_path / "cohort"
    write_patient(root / "HGG" / "P1", seed=1)
    write_patient(root / "LGG" / "P2", seed=2)
    write_patient(root / "LGG" / "P3", seed=3, seg=False)
    write_patient(root / "LGG" / "P4", ("t1", "t2", "flair"), seed=4)
    return root
