"""The metrics of an evaluation, in slices, volumes and units, and the sums of several processes."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from base_recipe import least
from gantk.api.assessment import _answered, _Weights, cohort_metrics, in_units, make_metrics
from gantk.data.meaning import Absolute, Meaning, Relative
from gantk.data.normalisation import fixed_scale
from gantk.evaluation.protocols import VolumeMetric
from gantk.evaluation.results import Row
from gantk.plugins import Registry
from gantk.recipe import Recipe
from told import Told

HOUNSFIELD = Meaning({"ct": Absolute(fixed_scale(-1000, 3000))})
MR = Meaning({"ct": Relative(fixed_scale(0, 1))})


def recipe(metrics: list[Any], **evaluation: Any) -> Recipe:
    return least(data={"target": "ct"}, evaluation={"metrics": metrics, **evaluation})


def test_metrics_have_their_parameters_and_volumes_those_that_know_them(registry: Registry) -> None:
    plain = make_metrics(recipe(["ssim", "mse"]), registry)
    assert list(plain) == ["ssim", "mse"]
    both = make_metrics(recipe(["mse", {"use": "segmentation_probe"}], volumes=True), registry)
    assert list(both) == ["mse", "segmentation_probe", "volume_mse"]
    assert isinstance(both["volume_mse"], VolumeMetric)


@pytest.mark.parametrize("volumes", [False, True])
def test_errors_in_units_are_bound_to_the_cohorts_unit(registry: Registry, volumes: bool) -> None:
    made = in_units(make_metrics(recipe(["mae_unit"], volumes=volumes), registry), HOUNSFIELD, ["ct"], 1)
    size = (1, 1, 4, 6)
    prediction, target, mask = torch.full(size, 0.5), torch.full(size, 0.25), torch.ones(size, dtype=torch.bool)
    assert made["mae_unit"](prediction, target, mask).item() == pytest.approx(1000)  # a quarter of 4000
    if volumes:
        found = made["volume_mae_unit"].metric(prediction[:, :, None], target[:, :, None], mask[:, :, None])
        assert found.item() == pytest.approx(1000)


def test_without_an_absolute_unit_they_are_left_out_and_this_is_said(registry: Registry) -> None:
    asked = recipe(["mae", "mae_unit"])
    assert list(in_units(make_metrics(asked, registry), MR, ["ct"], 1)) == ["mae"]
    cohort: Any = SimpleNamespace(meaning=MR, loader=SimpleNamespace(layout=SimpleNamespace(channels=1)))
    told = Told()
    assert list(cohort_metrics(asked, registry, cohort, told)) == ["mae"]
    assert told.notes == ["mae_unit is left out: ct has no absolute unit"]


def test_each_channel_of_a_color_image_has_its_targets_scale() -> None:
    meaning = Meaning({"a": Absolute(fixed_scale(0, 10)), "b": Absolute(fixed_scale(0, 100))})
    seen: list[torch.Tensor] = []

    class Unit:
        title, higher_is_better = "Unit", False

        def in_units(self, to_units: Any) -> Any:
            seen.append(to_units(torch.ones(1, 4, 1, 1)))
            return self

        def __call__(self, *_: Any) -> Any: ...

    in_units({"unit": Unit()}, meaning, ["a", "b"], 2)
    assert seen[0].flatten().tolist() == pytest.approx([10, 10, 100, 100])


def test_means_of_maps_are_over_all_processes() -> None:
    weights = _Weights()
    weights.join(
        [{"m/g": {"tumour": (3.0, 2), "brain": (1.0, 4)}}, {"m/g": {"tumour": (5.0, 2)}, "n/g": {"x": (0.0, 0)}}]
    )
    assert weights.means == {"m/g": {"tumour": 2.0, "brain": 0.25}, "n/g": {"x": 0.0}}


def test_an_input_that_a_patient_lacks_has_no_value() -> None:
    cohort: Any = SimpleNamespace(store={"P1": SimpleNamespace(modalities=("t1",))})
    for method, lacks in (("input:t1", False), ("input:t2", True), ("g", False)):
        (value,) = _answered(Row("P1", method, 3, {"mse": 0.5}), cohort).values.values()
        assert math.isnan(value) == lacks
