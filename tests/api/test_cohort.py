"""A recipe's cohort: what was found in it is told, and a resumed run must see the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from base_recipe import least
from gantk.api.cohort import check_same_data, check_same_split, open_cohort, sampling
from gantk.data.pools import Patches, PatchesBySlice, WholeSlices
from gantk.data.split import Split
from gantk.errors import DataError
from gantk.plugins import load_plugins
from gantk.recipe import load_recipe
from gantk.runs.files import RunFiles
from gantk.testing.cohort import write_pictures
from told import Told
from units import make_recipe, opened, write


def test_what_was_found_is_told(tmp_path: Path) -> None:

    progress = Told()
    path = make_recipe(tmp_path, write(tmp_path / "data", ["mr", "ct"]), "mr", "ct")
    open_cohort(load_recipe(path), load_plugins().registry, progress)
    assert "Background: mr 0, ct -1000" in progress.notes
    assert "The brightness of mr differs between patients; each image has its own scale" in progress.notes
    assert any("ct mean the same in all patients" in note for note in progress.notes)


def flipped(path: Path) -> None:
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), image.affine), path)


def brighter(path: Path) -> None:
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * np.float32(1.0001), image.affine), path)


@pytest.mark.parametrize("change", [flipped, brighter])
def test_other_images_and_other_meanings_are_not_resumed(tmp_path: Path, change: Callable[[Path], None]) -> None:
    root = write(tmp_path / "data", ["mr", "ct"])
    path = make_recipe(tmp_path, root, "mr", "ct")
    first = opened(path)[1].fingerprint
    for file in root.rglob("*.nii.gz"):
        file.touch()  # read anew
    again = opened(path)[1]
    check_same_data(again, first, tmp_path)
    change(next(root.rglob("*_ct.nii.gz")))
    with pytest.raises(DataError, match="have changed"):
        check_same_data(opened(path)[1], first, tmp_path)
    meant = make_recipe(tmp_path, root, "mr", "ct", "[data.intensities.ct]\nrange = [-1000, 1000]")
    assert len({first, opened(path)[1].fingerprint, opened(meant)[1].fingerprint}) == 2  # `meant` lies at `path`


def test_other_pictures_are_not_resumed(tmp_path: Path) -> None:
    from PIL import Image

    write_pictures(tmp_path / "data")
    path = make_recipe(tmp_path, tmp_path / "data", "a", "b", dataset="images")
    first = opened(path)[1].fingerprint
    file = next((tmp_path / "data" / "train").iterdir())
    pixels = np.asarray(Image.open(file))
    Image.fromarray(pixels).save(file, compress_level=1)
    assert opened(path)[1].fingerprint == first  # the same pixels in another file
    Image.fromarray(pixels[::-1].copy()).save(file)
    assert opened(path)[1].fingerprint != first


def test_a_split_that_is_another_is_not_resumed(tmp_path: Path) -> None:
    split = Split(("a", "b"), (), ("c",), ("d",))
    check_same_split(split, RunFiles(tmp_path))  # nothing has begun
    split.to_csv(tmp_path / "split.csv")
    check_same_split(split, RunFiles(tmp_path))
    with pytest.raises(DataError, match=r"the cohort has changed since this run began") as caught:
        check_same_split(Split(("a",), ("b",), ("c",), ("d",)), RunFiles(tmp_path))
    assert caught.value.where == str(tmp_path / "split.csv")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"crop": [32, 32]}, WholeSlices),
        ({"dimensions": 3, "patch": [4, 8, 8]}, Patches),
        ({"dimensions": 3, "patch": [4, 8, 8], "sampler": {"use": "hard"}}, PatchesBySlice),
    ],
)
def test_what_a_training_sample_is_follows_from_the_recipe(data: dict[str, Any], kind: type) -> None:
    assert type(sampling(least(data=data).data)) is kind
