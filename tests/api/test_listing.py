"""Patients are listed and split by their files' names; what a recipe names must be there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base_recipe import least
from gantk.api.listing import list_cohort, make_sampler
from gantk.data.volumes import Subject
from gantk.errors import DataError, PluginError
from gantk.plugins import Component, Registry
from gantk.progress import Progress
from gantk.recipe import Recipe
from told import Told


class Given:
    """Patients that a test names: A to H with both images, one without T2 and one without target."""

    noun = "patient"

    def __init__(self, broken: bool = False) -> None:
        if broken:
            self.locked = lambda: None

    def subjects(self, progress: Progress) -> list[Subject]:
        names = dict.fromkeys("ABCDEFGH", ("t1", "t2", "t1ce")) | {"lacks": ("t1", "t1ce"), "inputs": ("t1", "t2")}
        return [
            Subject(
                name,
                {one: Path(name) / f"{one}.nii.gz" for one in files},
                Path(name) / "seg.nii.gz" if name != "H" else None,
                fold="ABCDEFGH".find(name) % 4 if len(name) == 1 else None,
                facts={"site": "north" if name in "ABCD" else "south"},
            )
            for name, files in names.items()
        ]

    def read(self, subject: Subject, modalities: Sequence[str], segmentation: bool = True) -> Any: ...


class Even:
    """A sampler."""

    def __call__(self, slices: Any) -> np.ndarray: ...


@pytest.fixture
def mine(registry: Registry) -> Registry:
    made = Registry()
    made.add(
        *registry, Component("given", "dataset", Given, "mine", "1"), Component("even", "sampler", Even, "mine", "1")
    )
    return made


def recipe(**data: Any) -> Recipe:
    return least(data={"dataset": "given", "inputs": ["t1", "t2"], "incomplete": "skip", **data})


def test_who_lacks_an_input_is_left_out_and_named(mine: Registry) -> None:
    told = Told()
    listing = list_cohort(recipe(), mine, told)
    assert listing.left_out == ("lacks",)
    assert "1 of 10 patients lack an input and are left out: lacks" in told.notes
    everyone = {*listing.split.paired, *listing.split.unpaired, *listing.split.validation, *listing.split.test}
    assert everyone == {*"ABCDEFGH", "inputs"}
    assert listing.split.unpaired == ("inputs",)
    assert listing.measured(["A", "inputs"], recipe()) == ["A"]
    with pytest.raises(DataError, match=r"'lacks'.*t2"):
        list_cohort(recipe(incomplete=False), mine, told)


def test_folds_of_the_dataset_say_who_is_tested(mine: Registry) -> None:
    told = Told()
    listing = list_cohort(recipe(split={"folds": 4, "fold": 1}), mine, told)
    assert listing.split.test == ("B", "F")
    assert told.notes[1:] == []
    list_cohort(recipe(), mine, told)
    assert "The table's folds are not used: set data.split.folds and data.split.fold to use them" in told.notes


def test_without_a_split_all_are_trained_on_and_this_is_said(mine: Registry) -> None:
    told = Told()
    listing = list_cohort(recipe(split="none"), mine, told)
    assert listing.split.on_training
    assert any("patients are used for training and for evaluation" in note for note in told.notes)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"mask": "mask"}, r"data\.mask.*'mask'"),
        ({"extra": {"age": {"per": "image"}}}, "'A'.*age"),
        (
            {"extra": {"labels": {"per": "pixel", "of": "segmentation", "categories": [0, 4]}}},
            "patient 'H' has no segmentation; data.extra.labels is made of it",
        ),
        ({"split": {"ratio": [4, 1, 1], "stratify": "scanner"}}, "scanner"),
    ],
)
def test_what_a_recipe_names_must_be_there(mine: Registry, data: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        list_cohort(recipe(**data), mine, Told())


def test_a_dataset_that_no_other_process_can_have_is_its_plugins_fault(mine: Registry) -> None:
    said = r"the dataset 'given' of the plugin mine 1 cannot be pickled.*remove lambdas"
    with pytest.raises(PluginError, match=said):
        list_cohort(recipe(broken=True), mine, Told())


def test_the_sampler_is_built_with_its_origin(mine: Registry) -> None:
    assert make_sampler(recipe(), mine) is None
    made = make_sampler(recipe(sampler={"use": "even"}), mine)
    assert made is not None
    assert list_cohort(recipe(sampler={"use": "even"}), mine, Told()).sampler is not None
