"""Tiny data sets on disk are what the datasets read."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from gantk.data.brats import Brats
from gantk.data.images import Images
from gantk.progress import QuietProgress
from gantk.testing.cohort import MODALITIES, SHAPE, write_cohort, write_patient, write_pictures

QUIET = QuietProgress()


def test_a_cohort_is_read_as_brats(tmp_path: Path) -> None:
    dataset = Brats(write_cohort(tmp_path, 3, ("t1", "t1ce")))
    subjects = dataset.subjects(QUIET)
    assert [subject.id for subject in subjects] == ["P0", "P1", "P2"]
    read = dataset.read(subjects[1], ["t1", "t1ce"])
    assert read.shape == SHAPE
    assert read.spacing == (3.0, 3.0, 6.0)
    assert set(np.unique(read.segmentation)) == {0, 1, 2, 4}
    assert (read.images["t1"][read.segmentation > 0] > 0).all(), "the tumor lies in the brain"


def test_the_seed_decides_the_patient(tmp_path: Path) -> None:
    def voxels(name: str, seed: int) -> np.ndarray:
        folder = write_patient(tmp_path / name, seed, MODALITIES, tumour=seed > 0, shape=(10, 12, 8))
        return np.stack([np.asarray(nib.load(path).dataobj) for path in sorted(folder.iterdir())])

    one, same, other = voxels("a", 1), voxels("b", 1), voxels("c", 0)
    assert one.shape == (len(MODALITIES) + 1, 10, 12, 8)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    seg = sorted(f"c_{name}" for name in (*MODALITIES, "seg")).index("c_seg")
    assert one[seg].any()
    assert not other[seg].any(), "the segmentation is there and shows nothing"


def test_pictures_are_pairs_or_two_kinds(tmp_path: Path) -> None:
    pairs = Images(write_pictures(tmp_path / "pairs", 3, (8, 12)))
    subjects = pairs.subjects(QUIET)
    assert [subject.part for subject in subjects].count("test") == 2
    assert len(subjects) == 3 + 2 + 2
    read = pairs.read(subjects[0], ["a", "b"])
    assert read.images["a"].shape == (3, 8, 12)
    np.testing.assert_array_equal(read.images["b"], 255 - read.images["a"])
    kinds = Images(write_pictures(tmp_path / "kinds", 3, (8, 12), aligned=False)).subjects(QUIET)
    assert {tuple(subject.files) for subject in kinds} == {("a",), ("b",)}
    assert len(kinds) == 2 * (3 + 2 + 2)
