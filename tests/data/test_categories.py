"""A label map among the inputs keeps its labels, from the file to the batch that a network is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gantk.api.cohort import open_cohort
from gantk.data.images import Images
from gantk.data.slices import SliceSettings, normalised_slices
from gantk.data.volumes import Volumes
from gantk.errors import DataError, GantkError, RecipeError
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.recipe.data import IntensitySettings
from gantk.recipe.load import recipe_from_table
from gantk.testing.cohort import write_patient, write_volume
from gantk.translation import Moment, assemble
from told import Told

SAID = {"unit": "categories", "range": [0, 4]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Patients with a map of the labels 0 to 4 in stripes beside T1, and the target."""
    root = tmp_path_factory.mktemp("patients")
    for number in range(6):
        folder = write_patient(root / f"P{number}", number, ("t1", "t1ce"))
        stripes = np.zeros((30, 34, 8), np.uint8)
        for label in range(1, 4 + (number > 0)):  # the first patient lacks the last label
            stripes[6 * label : 6 * label + 4, 8:26] = label
        write_volume(folder / f"P{number}_map.nii.gz", stripes)
    return root


def cohort(root, intensities, progress=None, **translator):
    recipe = recipe_from_table(
        {
            "name": "labels",
            "data": {
                "dataset": "brats", "root": str(root), "inputs": ["map", "t1"], "target": "t1ce", "slices": "all",
                "spacing": 2.3, "crop": [32, 32], "batch": {"paired": 8}, "intensities": intensities,
            },
            "transforms": {"turned": {"use": "affine"}, "jitter": {"use": "input_jitter"}, "both": {"use": "jitter"}},
            "translators": {"g": {"generator": {"use": "unet", "channels": 4, "levels": 2}, **translator}},
            "losses": {"l1": {"use": "l1", "on": "g"}},
            "schedule": {"use": "constant"},
        }
    )  # fmt: skip
    registry = load_plugins().registry
    found = open_cohort(recipe, registry, progress or Told())
    torch.manual_seed(0)
    batch = found.loader.batch(["paired"], 0, 0, 0)
    return found, assemble(recipe, registry).transformed(batch, Moment("training", 0, 1, 0))["paired"]


@pytest.mark.slow
def test_labels_stay_labels_and_mean_the_same_in_all_patients(root):
    found, group = cohort(root, {"map": SAID})
    names = np.float32([-1 + 2 * (label + 1) / 5 for label in range(5)])  # 0 is no background
    shown = group.source[:, 0].unique().numpy()
    assert len(shown) == 6
    np.testing.assert_allclose(shown, [-1, *names], atol=2e-5)
    assert len(group.source[:, 1].unique()) > 1000
    first = found.store["P0"].images([3], ["map"])
    assert set(first.ravel()) < set(group.source[:, 0].unique().tolist())
    assert group.categories == (0,)


@pytest.mark.slow
def test_a_map_that_is_not_said_to_be_one_is_told(root):
    told = Told()
    _, group = cohort(root, {}, told)
    assert len(group.source[:, 0].unique()) > 100  # brightness
    (note,) = [note for note in told.notes if "few different whole numbers" in note]
    assert note.startswith("map holds")
    assert 'data.intensities.map.unit = "categories"' in note
    assert "P0_map.nii.gz, and 5 more" in note
    told = Told()
    cohort(root, {"map": {"unit": "relative"}}, told)
    assert not [note for note in told.notes if "few different whole numbers" in note]


@pytest.mark.parametrize("wrong", [5, 2.5])
def test_a_number_that_is_none_of_the_categories_is_refused(wrong):
    image = np.full((12, 12, 2), 2, np.float32)
    image[4:8, 4:8] = wrong
    t1 = np.random.default_rng(0).uniform(100, 200, image.shape).astype(np.float32)
    t1[:2], t1[-2:], t1[:, :2], t1[:, -2:] = 0, 0, 0, 0
    given = {"map": IntensitySettings(unit="categories", range=(0, 4))}
    settings = SliceSettings(("map", "t1"), None, (8, 8), intensities=given)
    with pytest.raises(DataError, match=rf"{wrong}, which is not one of the categories 0 to 4") as caught:
        normalised_slices(Volumes({"t1": t1, "map": image}, None, np.eye(4)), ["t1"], settings)
    assert caught.value.where == "map"


def test_a_patient_in_whom_a_map_shows_nothing_is_taken():
    t1 = np.random.default_rng(0).uniform(100, 200, (12, 12, 2)).astype(np.float32)
    t1[:2], t1[-2:], t1[:, :2], t1[:, -2:] = 0, 0, 0, 0
    given = {"map": IntensitySettings(unit="categories", range=(0, 4))}
    settings = SliceSettings(("map", "t1"), None, (8, 8), intensities=given)
    made = normalised_slices(Volumes({"map": np.zeros_like(t1), "t1": t1}, None, np.eye(4)), ["map", "t1"], settings)
    assert len(np.unique(made.images["map"])) == 2  # label 0 inside, background outside


@pytest.mark.parametrize(
    ("intensities", "message"),
    [
        ({"map": {"unit": "categories"}}, "requires range"),
        ({"map": {"unit": "categories", "range": [0, 4.5]}}, "with integers"),
        ({"t1ce": SAID}, "'t1ce' has unit = \"categories\""),
    ],
)
def test_what_cannot_be_meant_is_refused(root, intensities, message):
    with pytest.raises(GantkError, match=message):
        cohort(root, intensities)


def test_no_translator_moves_labels(root):
    with pytest.raises(RecipeError, match="'map' holds categories"):
        cohort(root, {"map": SAID}, residual="map")


def test_pictures_of_labels_are_enlarged_by_the_nearest(tmp_path):
    from PIL import Image

    labels = np.arange(5, dtype=np.uint8).repeat(4)[None].repeat(16, 0)
    for side, pixels in (("a", labels), ("b", 40 * labels)):
        (tmp_path / side).mkdir()
        Image.fromarray(pixels).save(tmp_path / side / "0.png")
    dataset = Images(tmp_path, mode="grey")
    (subject,) = dataset.subjects(QuietProgress())
    settings = SliceSettings(
        ("a", "b"), None, (24, 32), intensities={"a": IntensitySettings(unit="categories", range=(0, 4))}
    )
    slices = dataset.read(subject, ["a", "b"]).slices(["a"], settings)
    assert len(np.unique(slices.images["a"])) == 5
    assert len(np.unique(slices.images["b"])) > 5
    assert [remark for remark in slices.remarks if remark.startswith("b holds")]
