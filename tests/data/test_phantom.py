"""The phantom as a dataset: written once into the cache, and read as BraTS."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from gantk.data.brats import Brats
from gantk.data.phantom import Phantom
from gantk.errors import CacheError
from gantk.progress import QuietProgress
from told import Told

QUIET = QuietProgress()


@pytest.mark.slow
def test_the_phantom_is_written_once_and_read_as_brats(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path))
    phantom = Phantom(subjects=2, voxel=8.0)
    subjects = phantom.subjects(QUIET)
    assert not list(tmp_path.iterdir())  # listed, not made
    phantom.make(QUIET)
    assert subjects == Brats(phantom.root).subjects(QUIET)
    assert len(subjects) == 2
    stamps = [file.stat().st_mtime_ns for s in subjects for file in s.files.values()]
    Phantom(subjects=1, voxel=8.0).make(QUIET)
    again = Phantom(subjects=1, voxel=8.0).subjects(QUIET)
    assert again == subjects[:1]
    assert stamps[:4] == [file.stat().st_mtime_ns for file in again[0].files.values()]
    volumes = Phantom(subjects=1, voxel=8.0).read(again[0], ["t1", "t2", "flair", "t1ce"])
    assert volumes.spacing == pytest.approx((8, 8, 8))
    assert np.isin(volumes.segmentation, (0, 1, 2, 4)).all()


DAMAGE = {
    "flipped": ("_t1.nii.gz", lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:]),
    "truncated": ("_flair.nii.gz", lambda content: content[:-100]),
    "other voxels": ("_seg.nii.gz", lambda content: gzip.compress(inverted(gzip.decompress(content)))),
    "gone": ("_t2.nii.gz", None),
    "manifest gone": ("phantom.json", None),
    "manifest cut": ("phantom.json", lambda content: content[: len(content) // 2]),
    "manifest changed": ("phantom.json", lambda content: content.replace(b'"seed": 0', b'"seed": 1')),
}


def inverted(content: bytes) -> bytes:
    return content[:352] + bytes(255 - byte for byte in content[352:])


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.slow
def test_a_damaged_phantom_in_the_cache_is_made_again(phantom_cache, monkeypatch, kind):
    monkeypatch.setenv("GANTK_CACHE", str(phantom_cache))
    phantom = Phantom(subjects=2, voxel=8.0)
    phantom.make(QUIET)
    first, *others = phantom.subjects(QUIET)
    folder = first.segmentation.parent
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    name, change = DAMAGE[kind]
    path = next(folder.glob(f"*{name}"))
    path.unlink() if change is None else path.write_bytes(change(path.read_bytes()))
    stamp = others[0].segmentation.stat().st_mtime_ns
    phantom.make(told := Told())
    assert told.notes[0] == f"{folder} is damaged and will be rebuilt"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert others[0].segmentation.stat().st_mtime_ns == stamp
    phantom.make(quiet := Told())
    assert not quiet.notes


@pytest.fixture(scope="module")
def phantom_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("phantoms")


def test_a_phantom_that_cannot_be_written_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "phantom").write_text("a file where the folder should be")
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path))
    with pytest.raises(CacheError, match="GANTK_CACHE"):
        Phantom(subjects=1, voxel=8.0).make(QUIET)
