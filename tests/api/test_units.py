"""Whatever the numbers of a modality are, networks see [-1, 1] and people get those numbers back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import gantk
from gantk.api.cohort import Cohort, check_same_data, open_cohort, slice_settings
from gantk.api.listing import make_dataset
from gantk.data.meaning import Absolute
from gantk.errors import DataError, RecipeError
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import Recipe, load_recipe
from gantk.testing.cohort import write_pictures
from told import Told

SHAPE = (30, 34, 8)
X, Y, Z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
BRAIN = X**2 + Y**2 + Z**2 < 0.8

RECIPE = """
name = "units"

[data]
dataset = "{dataset}"
root = "{root}"
inputs = ["{inputs}"]
target = "{target}"
crop = [32, 32]
slices = "all"
batch = {{ paired = 2 }}
steps_per_epoch = {steps}
{more}

[data.split]
ratio = [4, 1, 1]

[translators.g]
generator = {{ use = "unet", levels = 2, channels = 8 }}

[translators.g.optimizer]
rates = {{ generator = 5e-3 }}

[losses.pixelwise]
use = "l1"
on = "g"

[schedule]
use = "constant"
epochs = 1

[evaluation]
metrics = ["mse"]
regions = ["image"]
examples = 1

[tracking]
enabled = false
"""

Make = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def z_scored(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()


# a modality made of a smooth image that is 0 outside the brain and 100 to 500 inside
UNITS: dict[str, Make] = {
    "mr": lambda x, r: x * r.uniform(0.5, 4),
    "offset": lambda x, r: x + 100,
    "ct": lambda x, r: np.rint(np.where(BRAIN, 4 * x - 1200, -1000)),
    "soft": lambda x, r: np.where(BRAIN, np.rint(r.normal(20, 15, SHAPE)), -1024),
    "zinside": lambda x, r: np.where(BRAIN, (x - x[BRAIN].mean()) / x[BRAIN].std(), 0),
    "zwhole": lambda x, r: z_scored(x),
    "inverted": lambda x, r: 600 - x,
    "brainct": lambda x, r: np.where(BRAIN, x / 10, 0),
}


def write(root: Path, units: list[str], patients: int = 6, dtype: type = np.float32) -> Path:
    for number in range(patients):
        for place, unit in enumerate(units):
            r = np.random.default_rng([number, place])
            x = BRAIN * (300 + 150 * np.sin(3 * X + number) * np.cos(2 * Y + place) + r.uniform(-50, 50, SHAPE))
            path = root / f"P{number}" / f"P{number}_{unit}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(UNITS[unit](x, r).astype(dtype), np.diag([-3.0, -3.0, 6.0, 1.0])), path)
    return root


def make_recipe(folder: Path, root: Path, source: str, target: str, more: str = "", **changes: Any) -> Path:
    told = {"dataset": "brats", "root": root.as_posix(), "inputs": source, "target": target, "steps": 1, "more": more}
    path = folder / "units.toml"
    path.write_text(RECIPE.format(**told | changes))
    return path


def opened(path: Path) -> tuple[Recipe, Cohort, Any]:
    recipe = load_recipe(path)
    registry = load_plugins().registry
    return recipe, open_cohort(recipe, registry, QuietProgress()), make_dataset(recipe, registry)


def there_and_back(recipe: Recipe, cohort: Cohort, dataset: Any, patient: str, *, seen: bool) -> tuple[Any, Any]:
    """A subject's target, and what a perfect network's answer becomes by the steps of `gantk predict`."""
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
    if target == "zwhole":  # each patient has a background of its own
        tolerance = 0.1 * np.ptp(truth)
    np.testing.assert_allclose(made[~BRAIN], truth[~BRAIN], atol=tolerance)
    # what training reads is the same
    stored = cohort.store[patient]
    images = stored.images(range(len(stored)), [target])
    assert (images > -1).any(axis=(1, 2, 3)).all()
    assert np.ptp(images) > 1


def test_a_relative_target_is_as_bright_beside_the_input_as_in_training(tmp_path: Path) -> None:
    """The input has a lower end and a background of its own, which the answer must not have."""
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
        assert np.ptp(stored[stored > -1]) > 0.3  # the offset takes no room


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
        ('[data.intensities.ct]\nunit = "relative"\nrange = [0, 1]', "absolute"),
    ):
        with pytest.raises(RecipeError, match=message):
            load_recipe(make_recipe(tmp_path, root, "mr", "ct", more))


def test_what_was_found_is_told(tmp_path: Path) -> None:

    progress = Told()
    path = make_recipe(tmp_path, write(tmp_path / "data", ["mr", "ct"]), "mr", "ct")
    open_cohort(load_recipe(path), load_plugins().registry, progress)
    assert "Background: mr 0, ct -1000" in progress.notes
    assert "The brightness of mr differs between patients; each image has its own scale" in progress.notes
    assert any("ct mean the same in all patients" in note for note in progress.notes)


def flipped(path: Path) -> None:
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), image.affine), path)


def brighter(path: Path) -> None:
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * np.float32(1.0001), image.affine), path)


@pytest.mark.parametrize("change", [flipped, brighter])
def test_other_images_and_other_meanings_are_not_resumed(tmp_path: Path, change: Callable[[Path], None]) -> None:
    root = write(tmp_path / "data", ["mr", "ct"])
    path = make_recipe(tmp_path, root, "mr", "ct")
    first = opened(path)[1].fingerprint
    for file in root.rglob("*.nii.gz"):
        file.touch()  # read anew
    again = opened(path)[1]
    check_same_data(again, first, tmp_path)
    change(next(root.rglob("*_ct.nii.gz")))
    with pytest.raises(DataError, match="have changed"):
        check_same_data(opened(path)[1], first, tmp_path)
    meant = make_recipe(tmp_path, root, "mr", "ct", "[data.intensities.ct]\nrange = [-1000, 1000]")
    assert len({first, opened(path)[1].fingerprint, opened(meant)[1].fingerprint}) == 2  # `meant` lies at `path`


def test_other_pictures_are_not_resumed(tmp_path: Path) -> None:
    from PIL import Image

    write_pictures(tmp_path / "data")
    path = make_recipe(tmp_path, tmp_path / "data", "a", "b", dataset="images")
    first = opened(path)[1].fingerprint
    file = next((tmp_path / "data" / "train").iterdir())
    pixels = np.asarray(Image.open(file))
    Image.fromarray(pixels).save(file, compress_level=1)
    assert opened(path)[1].fingerprint == first  # the same pixels in another file
    Image.fromarray(pixels[::-1].copy()).save(file)
    assert opened(path)[1].fingerprint != first


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
