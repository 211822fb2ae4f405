"""Inputs of networks beside images: from files and facts to batches, through transforms, and one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

import gantk
from gantk.api.cohort import Cohort, open_cohort
from gantk.data.brats import Brats
from gantk.data.extra import encoded
from gantk.data.volumes import Subject
from gantk.errors import DataError, GantkError
from gantk.plugins import Component, Registry, load_plugins
from gantk.progress import Progress, QuietProgress
from gantk.recipe.data import ExtraSettings
from gantk.recipe.load import recipe_from_table
from gantk.testing.cohort import write_patient, write_volume
from gantk.translation import Moment, assemble

EXTRA: dict[str, Any] = {
    "tumour": {"per": "pixel", "of": "segmentation", "categories": [0, 1, 2, 4]},
    "stripes": {"per": "pixel", "of": "map", "categories": [3, 0, 1, 2]},
    "site": {"categories": ["north", "south"]},
    "years": {"of": "age", "value": 50},
}


class Known(Brats):
    """Patients with facts beside images."""

    def subjects(self, progress: Progress) -> list[Subject]:
        return [
            replace(subject, facts={"site": "south" if number else "north", **({"age": "31.5"} if number else {})})
            for number, subject in enumerate(super().subjects(progress))
        ]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("patients")
    for number in range(5):
        folder = write_patient(root / f"P{number}", number, ("t1", "t1ce"))
        stripes = np.zeros((30, 34, 8), np.uint8)
        for label in range(1, 4):
            stripes[8 * label - 6 : 8 * label - 2, 8:26] = label
        write_volume(folder / f"P{number}_map.nii.gz", stripes)
    return root


@cache
def registry() -> Registry:
    mine = Registry()
    mine.add(*load_plugins().registry, Component("known", "dataset", Known, "mine", "1"))
    return mine


def cohort(root: Path, extra: dict[str, Any], changes: Sequence[str] = ()) -> tuple[Cohort, Any]:
    table = {
        "name": "extra",
        "data": {
            "dataset": "known", "root": str(root), "inputs": ["t1"], "target": "t1ce", "slices": "all",
            "crop": [32, 32], "batch": {"paired": 6}, "extra": extra, "split": "none",
        },
        "transforms": {"turned": {"use": "affine"}, "larger": {"use": "resize_and_crop"}, "flip": {"use": "flip"}},
        "translators": {"g": {"generator": {"use": "unet", "channels": 4, "levels": 2}}},
        "losses": {"l1": {"use": "l1", "on": "g"}},
        "schedule": {"use": "constant"},
    }  # fmt: skip
    recipe = recipe_from_table(table)
    return open_cohort(recipe, registry(), QuietProgress()), assemble(recipe, registry())


def test_batches_hold_what_files_and_facts_say(root: Path) -> None:
    found, _ = cohort(root, EXTRA)
    for patient, rows in {"P0": [0], "P3": [2]}.items():
        group = found.loader.rows([(patient, row) for row in rows])
        assert group.extra["site"].tolist() == [0 if patient == "P0" else 1]
        assert group.extra["years"].tolist() == [50.0 if patient == "P0" else 31.5]
        assert group.extra["tumour"].shape == (1, 1, 32, 32)
        labels = torch.tensor([0, 1, 2, 4])[group.extra["tumour"].long()]
        assert torch.equal(labels.to(torch.uint8), group.segmentation)
        file = nib.load(root / patient / f"{patient}_map.nii.gz").get_fdata()
        plane = np.asarray(file)[:, :, group.slices[0]].T[1:33]  # LPS as written; 34 rows cropped to 32
        plane = np.pad(plane, ((0, 0), (1, 1)))
        shown = torch.tensor([3, 0, 1, 2])[group.extra["stripes"].long()][0, 0].numpy()
        inside = group.foreground[0, 0].numpy()
        assert len(np.unique(shown[inside])) > 2
        assert np.array_equal(shown[inside], plane[inside])
        assert set(shown[~inside].tolist()) == {0}, "outside the foreground there is the first number of the file"


def test_transforms_move_pixels_by_the_nearest_and_leave_images_alone(root: Path) -> None:
    found, assembly = cohort(root, EXTRA)
    batch = found.loader.batch(("paired",), 0, 0, 0)
    torch.manual_seed(1)
    moved = assembly.transformed(batch, Moment("training", 0, 1, 0))["paired"]
    before = batch["paired"]
    assert not torch.equal(moved.extra["tumour"], before.extra["tumour"])
    assert torch.equal(torch.tensor([0, 1, 2, 4], dtype=torch.uint8)[moved.extra["tumour"].long()], moved.segmentation)
    assert set(moved.extra["stripes"].unique().tolist()) <= {0, 1, 2, 3}
    for name in ("site", "years"):
        assert torch.equal(moved.extra[name], before.extra[name])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"site": {"categories": ["north", "west"]}}, "'south' is not one of north, west"),
        ({"years": {"of": "age"}}, "the data set does not provide it"),
        ({"years": {"of": "site"}}, "could not convert"),
        ({"tumour": {"per": "pixel", "of": "segmentation", "categories": [0, 4]}}, "is not one of its categories"),
        ({"stripes": {"per": "pixel", "of": "map", "categories": [0, 1]}}, "not one of the categories 0 to 1"),
        ({"plan": {"per": "pixel", "categories": [0, 1]}}, "no patient has a 'plan' image"),
    ],
)
def test_what_is_not_known_of_a_patient_is_an_error(root: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        cohort(root, change)[0].loader.batch(("paired",), 0, 0, 0)
    assert said in str(caught.value)


def test_other_facts_are_other_data(root: Path) -> None:
    site = {"site": {"categories": ["north", "south"]}}
    first, second = cohort(root, site)[0], cohort(root, {"site": {"of": "age", "value": 1}})[0]
    assert len({cohort(root, {})[0].fingerprint, first.fingerprint, second.fingerprint}) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"per": "pixel"},
        {"per": "pixel", "categories": ["a", "b"]},
        {"per": "pixel", "categories": [0, 1], "value": 1},
        {"categories": [1]},
        {"categories": [1, 1]},
        {"categories": ["a", "b"], "value": "c"},
        {"value": "much"},
        {"kind": "image"},
    ],
)
def test_declarations_that_make_no_sense(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(GantkError, match=r"data\.extra\.it"):
        cohort(tmp_path, {"it": wrong})


def test_intensities_are_no_categories(tmp_path: Path) -> None:
    with pytest.raises(GantkError, match="'t1' holds intensities"):
        cohort(tmp_path, {"t1": {"per": "pixel", "categories": [0, 1]}})


def test_networks_are_given_one_hot() -> None:
    pixels = ExtraSettings.model_validate({"per": "pixel", "categories": [0, 4, 9]})
    codes = torch.tensor([[[[0, 2], [1, 1]]]], dtype=torch.uint8)
    hot = encoded(pixels, codes)
    assert hot.shape == (1, 3, 2, 2)
    assert hot.dtype == torch.float32
    assert torch.equal(hot.argmax(1, keepdim=True), codes.long())
    site = ExtraSettings.model_validate({"categories": ["a", "b"]})
    assert encoded(site, torch.tensor([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert encoded(ExtraSettings(), torch.tensor([2.5, -1])).tolist() == [[2.5], [-1]]
    assert (
        gantk.Group(None, None, None, ("p",), (0,), extra={"a": codes}).to("cpu").extra["a"].tolist() == codes.tolist()
    )
