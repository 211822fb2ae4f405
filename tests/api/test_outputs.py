"""Files of predictions: their names, and what is never replaced."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gantk.api.outputs import Outputs, check_file, check_writes, write_image
from gantk.data.volumes import Subject
from gantk.errors import PluginError, UsageError

NIFTI: Any = SimpleNamespace(writes=(".nii.gz", ".nii"), write=lambda path, image, like: path.touch())


def test_names_in_a_cohort(tmp_path: Path) -> None:
    (tmp_path / "P1").mkdir()
    outputs = Outputs(tmp_path / "out", NIFTI, "t1ce")
    assert outputs.file(tmp_path / "P1", np.zeros(1)).name == "P1_t1ce.nii.gz"
    assert outputs.file(tmp_path / "P1", np.zeros(1), "std").name == "P1_t1ce_std.nii.gz"
    assert outputs.file(Subject("site/P1", {}), np.zeros(1)).name == "site_P1_t1ce.nii.gz"
    assert Outputs(tmp_path, NIFTI, "t1ce", "_new").stem(Subject("P1", {})) == "P1_new"
    picture = tmp_path / "photo.jpg"
    picture.touch()
    named: Any = SimpleNamespace(writes=(".png",), named=lambda path, image: Path("x.tif"))
    assert Outputs(tmp_path, named, "b").file(picture, np.zeros(1)).name == "photo.tif"


def test_a_file_that_is_there_is_found_in_any_of_the_datasets_kinds(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, NIFTI, "t1ce")
    assert outputs.there(Subject("P1", {})) is None
    (tmp_path / "P1_t1ce.nii").touch()
    assert outputs.there(Subject("P1", {})) == tmp_path / "P1_t1ce.nii"


def test_inputs_stay_and_other_files_are_replaced_only_when_asked(tmp_path: Path) -> None:
    own = tmp_path / "a.nii.gz"
    own.touch()
    subject = Subject("P1", {"t1": own})
    with pytest.raises(UsageError, match="never replaces a file among its inputs"):
        check_file(own, subject, NIFTI, overwrite=True)
    with pytest.raises(UsageError, match="never replaces a file"):
        check_file(own, tmp_path, NIFTI, overwrite=True)  # the patient's folder
    other = tmp_path / "b.nii.gz"
    other.touch()
    with pytest.raises(UsageError, match="this file exists"):
        check_file(other, subject, NIFTI, overwrite=False)
    check_file(other, subject, NIFTI, overwrite=True)
    with pytest.raises(UsageError, match=r"ends in \.nii\.gz or \.nii"):
        check_file(tmp_path / "c.png", subject, NIFTI, overwrite=False)
    with pytest.raises(UsageError, match="it is a folder"):
        check_file(tmp_path, subject, NIFTI, overwrite=True)


def test_a_dataset_that_cannot_write_is_a_plugins_fault_and_a_full_disk_is_not(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="'mine' cannot write an image"):
        check_writes(SimpleNamespace(), "mine")

    def full(path: Path, image: np.ndarray, like: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match=r"No space left.*free disk space"):
        write_image(SimpleNamespace(write=full), tmp_path / "x", np.zeros(1), tmp_path)
