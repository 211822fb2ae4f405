"""tiff_stacks meets the contract of datasets, and restores the numbers of files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from gantk_tiff_stacks import TiffStacks
from gantk_tiff_stacks.__main__ import write
from gantk_tiff_stacks.stack import Stack

import gantk
import gantk.testing


class TestTiffStacks(gantk.testing.DatasetConformance):
    component = TiffStacks
    inputs = ("phase",)
    targets = ("fluorescence",)
    size = (40, 48)

    def write(self, folder: Path) -> Mapping[str, Any]:
        return {"root": str(write(folder))}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("stacks") / "specimens")


def test_subjects_have_their_labels_and_patients(root: Path) -> None:
    first, second, third, *_ = TiffStacks(root).subjects(None)
    assert (first.id, first.patient, dict(first.facts)) == ("S00", "P0", {"stain": "dapi"})
    assert (second.patient, second.facts["stain"]) == ("P0", "gfp")
    assert third.patient == "P1"


def test_numbers_come_back_to_the_last_count(root: Path) -> None:
    dataset = TiffStacks(root)
    subject = dataset.subject_at(root / "S03", ["phase"])
    read = dataset.read(subject, ["phase"])
    settings = gantk.SliceSettings(("phase",), None, (40, 48))
    slices = read.slices(["phase"], settings)
    image = slices.images["phase"]
    assert (image[~slices.foreground] == -1).all()
    assert image[slices.foreground].min() > -1
    again = read.restore(image[:, None], ["phase"], settings, slices, slices.scales["phase"])
    original = tifffile.imread(root / "S03" / "phase.tif")
    assert again.dtype == np.uint16
    assert np.abs(again.astype(int) - original).max() <= 1


def test_a_stack_that_shows_nothing_is_refused() -> None:
    empty = Stack({"phase": np.zeros((2, 4, 4), np.float32)})
    with pytest.raises(gantk.DataError, match="shows nothing"):
        empty.slices(["phase"], gantk.SliceSettings(("phase",), None, (4, 4)))


def test_other_types_are_refused(tmp_path: Path) -> None:
    (tmp_path / "S0").mkdir()
    tifffile.imwrite(tmp_path / "S0" / "phase.tif", np.ones((2, 8, 8), np.uint8), photometric="minisblack")
    dataset = TiffStacks(tmp_path)
    with pytest.raises(gantk.DataError, match="uint8, not uint16"):
        dataset.read(dataset.subject_at(tmp_path / "S0", ["phase"]), ["phase"])
