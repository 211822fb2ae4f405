"""A run whose networks are given more than images: trained, measured, and predicted with as it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gantk
from gantk.errors import DataError, UsageError
from gantk.progress import QuietProgress
from gantk.testing import run_recipe, session
from tiny_runs import RECIPE, toml

CHANGES = [
    'data.extra.labels={per="pixel", of="segmentation", categories=[0, 1, 2, 4]}',
    'data.extra.site={categories=["north", "south"], value="north"}',
    'translators.only={generator={use="heeds"}, given=["labels", "site"], discriminator={use="patchgan", channels=4, '
    "layers=1}}",
    'losses={only={use="l1", on="only"}}',
]


class Told(nn.Module):
    """Labels and site shift what it makes, by numbers that are known."""

    def __init__(self, in_channels: int, out_channels: int, given: Mapping[str, int]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(out_channels))

    def forward(self, image: Tensor, *, labels: Tensor, site: Tensor) -> Tensor:
        return (
            torch.tanh(self.scale[0]) * 0 + 0.2 * labels[:, 3:] - 0.4 * labels[:, 2:3] - 0.1 * site[:, 1:, None, None]
        )


@pytest.fixture(scope="module")
def model(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    recipe = RECIPE.format(root=toml(cohort)).split("[translators.teacher]")[0].replace('predict = "student"', "")
    recipe = recipe + '[schedule]\nuse = "constant"\nepochs = 1\n[evaluation]\nregions = ["tumour"]\nexamples = 1\n'
    folder, plugins = tmp_path_factory.mktemp("given"), session(generator={"heeds": Told})
    run = run_recipe(recipe, [*CHANGES, 'data.slices="all"'], cohort=cohort, session=plugins, folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gantk.api.model.load_plugins", lambda: plugins)
        yield gantk.load(run.folder, device="cpu")


def units(model: Any, patient: Path, **options: Any) -> np.ndarray:
    return model.predict(patient, progress=QuietProgress(), **options)


def test_a_prediction_is_given_the_patients_labels(model: Any, cohort: Path) -> None:
    image = units(model, cohort / "P0")
    labels = np.asarray(nib.load(cohort / "P0" / "P0_seg.nii.gz").dataobj)  # in LPS as it is
    inside = image > image.min()
    by_label = {label: image[inside & (labels == label)] for label in (0, 2, 4)}
    assert {label: np.ptp(values) < 1e-3 * values.mean() for label, values in by_label.items()} == dict.fromkeys(
        by_label, True
    )
    assert by_label[2].mean() < by_label[0].mean() < by_label[4].mean()


def test_what_a_user_says_counts(model: Any, cohort: Path) -> None:
    first, second = units(model, cohort / "P0"), units(model, cohort / "P0", given={"site": "south"})
    assert np.array_equal(first, units(model, cohort / "P0", given={"site": "north"}))
    assert second.mean() < first.mean()
    with pytest.raises(DataError, match="'west' is not one of north, south"):
        units(model, cohort / "P0", given={"site": "west"})
    with pytest.raises(UsageError, match=r"is not given 'sit'.*site"):
        units(model, cohort / "P0", given={"sit": "south"})


def test_a_patient_without_labels_is_no_patient_without_tumor(model: Any, make_patient: Any, tmp_path: Path) -> None:
    patient = make_patient(tmp_path / "N1", seed=5)
    (patient / "N1_seg.nii.gz").unlink()
    with pytest.raises(DataError, match="no segmentation, but 'labels' needs one"):
        units(model, patient)
