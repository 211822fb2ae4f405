"""Requests to a model: role, target and inputs, and impossible requests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from base_recipe import least
from gantk.api.preparing import Preparation, Request
from gantk.data.brats import Brats
from gantk.data.layout import Domain, Layout
from gantk.data.meaning import Absolute, Meaning, Relative
from gantk.data.normalisation import fixed_scale
from gantk.data.volumes import Subject
from gantk.errors import DataError, PluginError, UsageError
from gantk.testing.cohort import write_patient

TYPICAL = Relative(fixed_scale(0, 500))


def preparation(dataset: Any = None, **data: Any) -> Preparation:
    """A preparation for three roles: `g` makes both targets from both inputs, `back` makes T1 from the first target,
    and the auxiliary `e` makes no image."""
    recipe = least(
        predict="g",
        data={"dataset": "brats", "root": "x", "inputs": ["t1", "t2"], "target": ["t1ce", "flair"], **data},
        translators={
            "g": {"generator": {"use": "unet"}},
            "back": {"generator": {"use": "unet"}, "takes": ["t1ce"], "gives": ["t1"]},
            "e": {"generator": {"use": "unet"}, "auxiliary": True},
        },
        losses={
            "l": {"use": "l1", "on": "g"},
            "b": {"use": "l1", "on": "back", "group": "target"},
            "e": {"use": "l1", "on": "e"},
        },
    )
    layout = Layout.of(recipe.data)
    chains: Any = {
        "g": SimpleNamespace(takes=Domain("source", None, 2), extra={}),
        "back": SimpleNamespace(takes=Domain("target", (0,), 1), extra={}),
        "e": SimpleNamespace(takes=Domain("source", None, 2), extra={}),
    }
    meaning = Meaning(dict.fromkeys(("t1", "t2", "t1ce"), TYPICAL) | {"flair": Absolute(fixed_scale(0, 1000))})
    return Preparation(recipe, dataset or Brats("x"), layout, meaning, chains, lambda role, size: size)


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (Request(), ("g", ["t1", "t2"], "t1ce", slice(0, 1))),
        (Request(target="flair"), ("g", ["t1", "t2"], "flair", slice(1, 2))),
        (Request("back"), ("back", ["t1ce"], "t1", slice(0, 1))),
    ],
)
def test_role_inputs_target_and_its_channels(request_: Request, found: tuple[Any, ...]) -> None:
    assert preparation().asked(request_) == found


def test_an_unknown_role_or_target_is_named() -> None:
    with pytest.raises(UsageError, match="role: there is no translator 'bakc'; did you mean 'back'"):
        preparation().asked(Request("bakc"))
    with pytest.raises(UsageError, match="target: 'back' does not give 't1ce'; did you mean 't1'"):
        preparation().asked(Request("back", "t1ce"))
    with pytest.raises(UsageError, match=r"role: 'e' is auxiliary.*predict with g"):
        preparation().asked(Request("e"))


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    return write_patient(tmp_path / "P1", 3, ("t1", "t2"))


def test_a_patient_as_input_of_the_network_and_back(patient: Path) -> None:
    prepared = preparation()(patient, Request(target="flair", also=("spread",)))
    assert prepared.inputs == ["t1", "t2"]
    assert prepared.images.shape == (8, 2, 34, 30)
    assert prepared.images.dtype == np.float32
    assert abs(prepared.images).max() <= 1
    assert prepared.like == patient / "P1_t1.nii.gz"
    inside = prepared.slices.foreground
    made = np.where(inside[:, None], 0.5, -1).astype(np.float32)
    restored = prepared.restore(np.concatenate([made, made], axis=1))
    assert restored.shape == (30, 34, 8)
    np.testing.assert_allclose(restored[inside.transpose(2, 1, 0)], 750, rtol=1e-4)
    assert (restored[~inside.transpose(2, 1, 0)] == 0).all()
    spread = np.where(inside[:, None], 0.125, 0).astype(np.float32)
    (found,) = prepared.besides(np.concatenate([made, spread], axis=1)).values()
    np.testing.assert_allclose(found[inside.transpose(2, 1, 0)], 0.125, atol=1e-5)


def test_an_image_that_lacks_is_an_error_or_left_out_where_some_may_lack(patient: Path) -> None:
    (patient / "P1_t2.nii.gz").unlink()
    with pytest.raises(DataError, match="no 't2' image"):
        preparation()(patient, Request())
    prepared = preparation(incomplete=True)(patient, Request())
    assert prepared.inputs == ["t1"]
    assert (prepared.images[:, 1] == -1).all()
    (patient / "P1_t1.nii.gz").rename(patient / "P1_adc.nii.gz")
    with pytest.raises(DataError, match=r"no image that 't1ce' can be made from; it has adc; add one of t1, t2"):
        preparation(incomplete=True)(patient, Request())


def test_what_cannot_be_asked_of_volumes(patient: Path) -> None:
    with pytest.raises(UsageError, match="size: a patient is translated on its own grid"):
        preparation()(patient, Request(size=(64, 64)))
    with pytest.raises(UsageError, match="given: 'g' is not given 'age'"):
        preparation()(patient, Request(given={"age": 60}))


def test_a_dataset_that_reads_no_folder_is_named(patient: Path) -> None:
    with pytest.raises(PluginError, match=r"data\.dataset: the dataset 'brats' cannot read a patient from a folder"):
        preparation(SimpleNamespace())(patient, Request())


def test_an_image_that_cannot_be_used_names_its_patient_and_file(patient: Path) -> None:
    write_patient(patient, 3, ("t1",))
    image = nib.load(patient / "P1_t2.nii.gz")
    nib.save(nib.Nifti1Image(np.full(image.shape, 7, np.float32), image.affine), patient / "P1_t2.nii.gz")
    with pytest.raises(DataError, match="'P1', 't2'") as caught:
        preparation()(patient, Request())
    assert str(caught.value.where).endswith("P1_t2.nii.gz")


def test_a_subject_of_a_table_is_taken_as_it_is(patient: Path) -> None:
    files = {"t1": patient / "P1_t1.nii.gz", "t2": patient / "P1_t2.nii.gz"}
    prepared = preparation()(Subject("row", files), Request())
    assert prepared.subject.id == "row"
