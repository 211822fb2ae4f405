"""Whatever the numbers of a modality are, networks see [-1, 1] and people get those numbers back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import gantk
from gantk.api.cohort import Cohort, slice_settings
from gantk.data.meaning import Absolute
from gantk.errors import DataError, RecipeError
from gantk.progress import QuietProgress
from gantk.recipe import Recipe, load_recipe
from gantk.testing.cohort import write_pictures
from units import BRAIN, SHAPE, UNITS, make_recipe, opened, write


def there_and_back(recipe: Recipe, cohort: Cohort, dataset: Any, patient: str, *, seen: bool) -> tuple[Any, Any]:
    """A subject's target, and the output of a perfect network after the steps of `gantk predict`."""
    (source,), (target,) = recipe.data.inputs, recipe.data.targets
    settings = slice_settings(recipe)
    subject = next(s for s in dataset.subjects(QuietProgress()) if s.id == patient)
    read = dataset.read(subject, [source, target])
    slices = cohort.meaning.normalised(read.slices([source], settings))
    scale = slices.scales[target] if seen else cohort.meaning.predicted(target, slices, [source])
    image = slices.images[target]
    image = image if image.ndim == 4 else image[:, None]
    return read.images[target], read.restore(image, [source], settings, slices, scale)


ABSOLUTE = {"ct", "soft", "zinside", "zwhole", "brainct"}


@pytest.mark.parametrize(
    ("source", "target"), [*(("mr", target) for target in UNITS if target != "mr"), ("ct", "mr"), ("zinside", "soft")]
)
def test_a_targets_own_slices_become_the_target(tmp_path: Path, source: str, target: str) -> None:
    more = '[data.intensities.brainct]\nunit = "absolute"' if target == "brainct" else ""
    recipe, cohort, dataset = opened(
        make_recipe(tmp_path, write(tmp_path / "data", [source, target]), source, target, more)
    )
    known = cohort.meaning.intensities[target]
    assert isinstance(known, Absolute) == (target in ABSOLUTE)
    (patient,) = cohort.split.test
    truth, made = there_and_back(recipe, cohort, dataset, patient, seen=target not in ABSOLUTE)
    tolerance = 1e-3 * np.ptp(truth)
    np.testing.assert_allclose(made[BRAIN], truth[BRAIN], atol=tolerance)
    if target == "zwhole":  # each patient has a different background
        tolerance = 0.1 * np.ptp(truth)
    np.testing.assert_allclose(made[~BRAIN], truth[~BRAIN], atol=tolerance)
    # what training reads is the same
    stored = cohort.store[patient]
    images = stored.images(range(len(stored)), [target])
    assert (images > -1).any(axis=(1, 2, 3)).all()
    assert np.ptp(images) > 1


def test_a_relative_target_is_as_bright_beside_the_input_as_in_training(tmp_path: Path) -> None:
    """The input has its own lower end and background, which the output must not have."""
    root = write(tmp_path / "data", ["mr", "offset"])
    recipe, cohort, dataset = opened(make_recipe(tmp_path, root, "offset", "mr"))
    truth, made = there_and_back(recipe, cohort, dataset, cohort.split.test[0], seen=False)
    assert (made[~BRAIN] == 0).all()
    assert np.corrcoef(made[BRAIN], truth[BRAIN])[0, 1] > 0.999
    assert made[BRAIN].min() > 0


def test_an_offset_of_a_files_numbers_is_no_brightness(tmp_path: Path) -> None:
    """Patients are of very different brightness, around each are the same 1000."""
    root = write(tmp_path / "data", ["mr", "offset"])
    for path in root.glob("*/*.nii.gz"):
        image = nib.load(path)
        body = np.where(BRAIN, image.get_fdata() - image.dataobj[0, 0, 0], 0)
        offset = 0 if "mr" in path.name else 1000
        image = nib.Nifti1Image(offset + body / body.max() * 200 * (1 + int(path.parent.name[1:])), image.affine)
        nib.save(image, path)
    recipe, cohort, dataset = opened(make_recipe(tmp_path, root, "mr", "offset"))
    for patient in cohort.split.patients:
        truth, made = there_and_back(recipe, cohort, dataset, patient, seen=False)
        assert (made[~BRAIN] == 1000).all()
        np.testing.assert_allclose(made[BRAIN], truth[BRAIN], atol=0.12 * np.ptp(truth))
        stored = cohort.store[patient].images([3], ["offset"])
        assert np.ptp(stored[stored > -1]) > 0.3  # the offset does not reduce the range


@pytest.mark.parametrize("aligned", [True, False])
def test_pictures_come_back_as_they_were(tmp_path: Path, aligned: bool) -> None:
    write_pictures(tmp_path / "data", aligned=aligned)
    path = make_recipe(tmp_path, tmp_path / "data", "a", "b", dataset="images")
    if not aligned:
        path.write_text(path.read_text().replace("paired = 2", "source = 2, target = 2"))
    recipe, cohort, dataset = opened(path)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"crop": (32, 40)})})
    if aligned:
        truth, made = there_and_back(recipe, cohort, dataset, cohort.split.test[0], seen=False)
        np.testing.assert_array_equal(made, np.moveaxis(truth, 0, -1))
    assert len({cohort.fingerprint, cohort.fingerprint}) == 1


def test_a_range_is_the_scale_and_names_must_be_right(tmp_path: Path) -> None:
    root = write(tmp_path / "data", ["mr", "ct"])
    _, cohort, _ = opened(make_recipe(tmp_path, root, "mr", "ct", "[data.intensities.ct]\nrange = [-1000, 1000]"))
    assert cohort.meaning.intensities["ct"].scale.units == (-1000, 1000)
    for more, message in (
        ("[data.intensities.cct]\nrange = [0, 1]", "cct"),
        ('[data.intensities.ct]\nunit = "relative"\nrange = [0, 1]', '"relative" allows no range'),
    ):
        with pytest.raises(RecipeError, match=message):
            load_recipe(make_recipe(tmp_path, root, "mr", "ct", more))


def test_predict_writes_hounsfield_units(server: Any, tmp_path: Path) -> None:
    root = write(tmp_path / "data", ["mr", "ct"], dtype=np.int16)
    process = server.start(tmp_path, "run", make_recipe(tmp_path, root, "mr", "ct", steps=60))
    assert process.wait() == 0, process.output
    assert "Background: mr 0, ct -1000" in process.output
    model = gantk.load(process.run, device="cpu")
    patient = model.checkpoint.facts["split"]["test"][0]
    (root / patient / f"{patient}_ct.nii.gz").rename(tmp_path / "ct.nii.gz")
    model.predict(root / patient, tmp_path / "out.nii.gz", progress=QuietProgress())
    made, truth = (nib.load(tmp_path / name).get_fdata() for name in ("out.nii.gz", "ct.nii.gz"))
    assert (made[~BRAIN] == -1000).all()
    assert -1100 < made[BRAIN].min() < made[BRAIN].max() < 900
    assert abs(made[BRAIN].mean() - truth[BRAIN].mean()) < 400
    low = np.zeros(SHAPE, np.float32) + 7
    nib.save(nib.Nifti1Image(low, np.diag([-3.0, -3.0, 6.0, 1.0])), root / patient / f"{patient}_mr.nii.gz")
    with pytest.raises(DataError, match=f"'{patient}', 'mr': .*inside the brain") as caught:
        model.predict(root / patient, progress=QuietProgress())
    assert str(caught.value.where).endswith("_mr.nii.gz")
