"""Units are decided over the training patients, and every image has an exact way back to its own numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from gantk.data.labels import Labels
from gantk.data.meaning import Absolute, Meaning, Relative, decide_intensities
from gantk.data.normalisation import Scale
from gantk.data.slices import Slices
from gantk.recipe.data import IntensitySettings


@dataclass
class Patient:
    """A patient as the store describes it: scales with their shoulder at `upper`."""

    upper: dict[str, float]
    negative: dict[str, float] = field(default_factory=dict)
    background: dict[str, float] = field(default_factory=dict)

    @property
    def scales(self):
        return {
            name: Scale((0.0, upper, 1.5 * upper), (-1.0, 0.9, 1.0), self.background.get(name, 0.0))
            for name, upper in self.upper.items()
        }


def decide(patients, **settings):
    names = dict.fromkeys(name for patient in patients for name in patient.upper)
    having = {name: [p for p in patients if name in p.upper] for name in names}
    return decide_intensities(having, list(names), {name: IntensitySettings(**s) for name, s in settings.items()})


def mr(upper, **more):
    return Patient({"t1": upper} | more, dict.fromkeys(["t1", *more], 0.0))


def test_non_negative_images_are_relative_and_signed_ones_absolute():
    one, two = mr(100.0, ct=2000.0), mr(300.0, ct=2100.0)
    one.negative["ct"], two.negative["ct"] = 0.4, 0.3
    found = decide([one, two])
    assert isinstance(found["t1"], Relative)
    assert isinstance(found["ct"], Absolute)


def test_a_negative_background_is_enough_and_what_interpolation_leaves_is_not():
    for background, negative, kind in ((-1000.0, 0.0, Absolute), (-0.5, 0.0, Relative), (0.0, 0.02, Relative)):
        patient = Patient({"x": 100.0}, {"x": negative}, {"x": background})
        assert isinstance(decide([patient])["x"], kind)


def test_most_training_patients_decide():
    patients = [Patient({"x": 10.0}, {"x": negative}) for negative in (0.0, 0.5, 0.6)]
    assert isinstance(decide(patients)["x"], Absolute)
    assert isinstance(decide([*patients, *patients[:1] * 3])["x"], Relative)


def test_the_recipe_decides_first():
    signed = Patient({"x": 10.0}, {"x": 0.5}, {"x": -4.0})
    assert isinstance(decide([signed], x={"unit": "relative"})["x"], Relative)
    assert isinstance(decide([mr(10.0)], t1={"unit": "absolute"})["t1"], Absolute)
    given = decide([signed], x={"range": (-10, 30)})["x"]
    assert given == Absolute(Scale((-10.0, 30.0), (-1.0, 1.0), -4.0))


def test_images_without_a_statistic_keep_their_own_scale():
    found = decide([Patient({"a": 255.0})])["a"]
    own = Scale((0.0, 65535.0), (-1.0, 1.0))
    assert found.of(own) is own


def test_brightness_is_the_median_ratio_to_the_first_relative_input():
    patients = [mr(100.0, t2=200.0), mr(50.0, t2=150.0), mr(80.0, t2=80.0)]
    for patient in patients:
        patient.upper["ct"], patient.negative["ct"] = 2000.0, 0.5
    found = decide(patients)
    assert found["t1"].brightness == 1
    assert found["t2"].brightness == 2
    apart = [mr(100.0), mr(50.0), Patient({"t2": 300.0}, {"t2": 0.0})]
    assert decide(apart)["t2"].brightness == 4  # no patient has both


MEANING = Meaning(
    {
        "t1": Relative(Scale((0.0, 100.0, 120.0), (-1.0, 0.9, 1.0)), 1.0),
        "t1ce": Relative(Scale((-2.0, 300.0, 900.0), (-1.0, 0.9, 1.0), 5.0), 3.0),
        "ct": Absolute(Scale((-1100.0, -1000.0, 900.0, 2000.0), (-1.0, -0.95, 0.9, 1.0), -1000.0)),
    },
    Labels((1, 2, 3), (1, 3), (3,)),
)


def sliced(**scales):
    shape = (1, 2, 3)
    return Slices({}, np.ones(shape, bool), None, scales)


def test_a_made_image_has_the_targets_unit_and_background():
    dim = sliced(t1=Scale((-7.0, 50.0, 70.0), (-1.0, 0.9, 1.0), 3.0), ct=Scale((-1000.0, 0.0, 9.0), (-1.0, 0.9, 1.0)))
    assert MEANING.predicted("ct", dim, ["t1"]) == MEANING.intensities["ct"].scale
    made = MEANING.predicted("t1ce", dim, ["ct", "t1"])  # the first relative one
    assert made == Scale((-1.0, 150.0, 450.0), (-1.0, 0.9, 1.0), 5.0)  # the input's lower end and background left alone
    assert MEANING.predicted("t1ce", dim, ["ct"]) == MEANING.intensities["t1ce"].scale


def test_slices_are_shown_on_the_cohorts_scale_and_keep_their_own_background():
    own = Scale((-1000.0, 1000.0, 1500.0), (-1.0, 0.9, 1.0), -1024.0)
    x = np.array([[[-1024, -1000, 0], [100, 900, 1400]]], np.float32)
    inside = x > -1024
    slices = Slices({"ct": own.apply(x, inside)}, inside, None, {"ct": own})
    shown = MEANING.normalised(slices)
    assert shown.images["ct"] == pytest.approx(MEANING.intensities["ct"].scale.apply(x, inside), abs=1e-4)
    back = shown.scales["ct"].invert(shown.images["ct"], inside)
    assert back == pytest.approx(x, abs=0.1)


def test_the_record_is_json_and_whole():
    assert Meaning.from_dict(json.loads(json.dumps(MEANING.to_dict()))) == MEANING
