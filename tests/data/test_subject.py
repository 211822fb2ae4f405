"""Subjects and their volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantk.data.subject import Subject, Volumes


def test_a_subject_is_its_own_patient_where_nothing_else_is_said() -> None:
    assert Subject("P1", {}).patient == "P1"
    assert Subject("P1-2019", {}, patient="P1").patient == "P1"


def test_a_subject_lies_where_its_first_file_is() -> None:
    assert Subject("P1", {"t1": Path("a/x.nii"), "t2": Path("b/y.nii")}).folder == Path("a")
    assert Subject("P1", {}, Path("c/seg.nii")).folder == Path("c")
    assert Subject("P1", {}).folder is None


def test_spacing_is_the_length_of_a_step_on_an_oblique_grid_too() -> None:
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.5, -1.5, 3.0])
    volumes = Volumes({"t1": np.zeros((4, 5, 6), np.float32)}, None, affine)
    assert volumes.spacing == pytest.approx((0.5, 1.5, 3.0))
    assert volumes.shape == (4, 5, 6)
