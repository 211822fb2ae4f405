"""The description of an exported network survives JSON, and says which images a subject must have."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from described import described, of_pictures
from gantk.data.labels import Labels
from gantk.data.windows import Blended
from gantk.recipe.data import IntensitySettings
from gantk.runtime.description import Description


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"multiple": None, "dimensions": 3, "windows": Blended((8, 16, 16), 0.25, "gaussian", 2)},
        {"size": (20, 30), "reach": 2, "incomplete": True},
        {"file": {"name": "x.onnx", "sha256": "ab"}, "facts": {"role": "student", "epoch": 3}},
    ],
)
def test_it_survives_json(changes: dict[str, Any]) -> None:
    for made in (described(**changes), of_pictures(**changes)):
        made = replace(made, settings=replace(made.settings, whole=made.dimensions == 3))
        assert Description.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize("changes", [{"spacing": 1.5}, {"spacing": (2.0, 1.5)}, {"plane": "coronal"}, {"mask": "mask"}])
def test_what_shapes_slices_survives(changes: dict[str, Any]) -> None:
    made = described()
    made = replace(made, settings=replace(made.settings, **changes))
    assert Description.from_dict(json.loads(json.dumps(made.to_dict()))).settings == made.settings


def test_what_numbers_mean_survives() -> None:
    made = described()
    given = IntensitySettings(range=(0, 3), unit="categories", background=0)
    meaning = replace(made.meaning, labels=Labels((1, 2, 3), (1, 3), (3,)))
    made = replace(made, settings=replace(made.settings, intensities={"t1": given}), meaning=meaning)
    again = Description.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again.meaning == meaning
    found = again.settings.intensities["t1"]
    assert (found.unit, found.background, found.categories) == ("categories", 0, True)
    assert tuple(found.range) == (0, 3)
    assert tuple(found.span) == (-1, 3)


def test_what_another_version_wrote_is_refused() -> None:
    record = described().to_dict()
    with pytest.raises(ValueError, match="it has the format 2, and this gantk reads 1"):
        Description.from_dict(record | {"format": 2})
    del record["meaning"]
    with pytest.raises(KeyError):
        Description.from_dict(record)


def test_the_images_that_a_subject_must_have() -> None:
    assert described().needed == ("t1", "t2")
    assert described(incomplete=True).needed == ()
    settings = described().settings
    assert described(settings=replace(settings, mask="mask")).needed == ("t1", "t2", "mask")
    assert described(settings=replace(settings, mask="t2")).needed == ("t1", "t2")
    assert described(settings=replace(settings, mask="mask"), incomplete=True).needed == ("mask",)


def test_the_smallest_size_that_fits() -> None:
    assert described(multiple=8).fitting((16, 17)) == (16, 24)
    assert described(multiple=None).fitting((16, 17)) is None
