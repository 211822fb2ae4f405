"""Several images in one: of the networks of an ensemble, and of generators that draw, the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import gantk
from gantk.api.ensemble import Ensemble
from gantk.api.export import export
from gantk.api.preparing import Request
from gantk.errors import GantkError, UsageError
from gantk.progress import QuietProgress
from gantk.testing import run_recipe
from tiny_runs import RECIPE, toml

CHANGES = [
    'data.slices="all"',
    'translators.only={generator={use="flow_unet", channels=4, levels=2, steps=3}}',
    'losses={only={use="flow_matching", on="only"}}',
]


@pytest.fixture(scope="module")
def model(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    recipe = RECIPE.format(root=toml(cohort)).split("[translators.teacher]")[0].replace('predict = "student"', "")
    recipe = recipe + '[schedule]\nuse = "constant"\nepochs = 1\n[evaluation]\nregions = ["tumour"]\nexamples = 1\n'
    run = run_recipe(recipe, CHANGES, cohort=cohort, folder=tmp_path_factory.mktemp("drawn"))
    return gantk.load(run.folder, device="cpu")


def voxels(path: Path) -> np.ndarray:
    return nib.load(path).get_fdata(dtype=np.float32)


def test_an_ensemble_gives_mean_and_deviation(uninterrupted: Any, make_patient: Any, tmp_path: Path) -> None:
    patient = tmp_path / "new" / "N0"
    make_patient(patient, seed=50)
    models = [gantk.load(uninterrupted(kind), device="cpu") for kind in ("plain", "ema")]
    images = [one.predict(patient, progress=QuietProgress()) for one in models]
    assert not np.array_equal(*images)
    result = gantk.predict_cohort(models, patient.parent, tmp_path / "out", progress=QuietProgress())
    assert not result.failed
    assert voxels(tmp_path / "out" / "N0_t1ce.nii.gz") == pytest.approx(np.mean(images, axis=0), rel=1e-5)
    assert voxels(tmp_path / "out" / "N0_t1ce_std.nii.gz") == pytest.approx(np.std(images, axis=0), rel=1e-3, abs=1e-3)
    files = Ensemble(models).predict(patient, tmp_path / "one.nii.gz", progress=QuietProgress())
    assert [path.name for path in files] == ["one.nii.gz", "one_std.nii.gz"]
    assert np.array_equal(voxels(files[1]), voxels(tmp_path / "out" / "N0_t1ce_std.nii.gz"))


def test_a_prediction_is_a_sample_and_the_same_again(model: Any, cohort: Path, monkeypatch: Any) -> None:
    first = model.predict(cohort / "P0", progress=QuietProgress())
    assert np.array_equal(first, model.predict(cohort / "P0", progress=QuietProgress()))
    generator = model.translators["only"].generator
    monkeypatch.setattr(generator, "sample", lambda image: generator.forward(image) * 0 - 0.5)
    assert not np.array_equal(first, model.predict(cohort / "P0", progress=QuietProgress()))


def test_several_samples_have_a_mean_and_a_spread(model: Any, cohort: Path) -> None:
    one, *others = model.samples(3)
    images = [m.predict(cohort / "P0", progress=QuietProgress()) for m in (one, *others)]
    assert np.array_equal(images[0], model.predict(cohort / "P0", progress=QuietProgress()))
    assert not np.array_equal(images[0], images[1])
    ensemble, request = Ensemble([one, *others]), Request()
    prepared = ensemble.prepare(cohort / "P0", request)
    made = ensemble.restore(prepared, ensemble.translate(prepared, request, QuietProgress()))
    assert made.beside["std"].max() > 0


def test_what_is_not_drawn_has_no_samples(uninterrupted: Any) -> None:
    fixed = gantk.load(uninterrupted("plain"), device="cpu")
    assert len(fixed.samples(1)) == 1
    with pytest.raises(UsageError, match="'student' makes the same image every time"):
        fixed.samples(2)


def test_a_sampler_is_neither_exported_nor_residual(model: Any, tmp_path: Path, recipe: Path) -> None:
    folder = model.checkpoint.folder.parents[1]
    for name in ("it.pt2", "it.onnx", "it"):
        with pytest.raises(UsageError, match=r"makes images of noise.*translate with gantk predict"):
            export(folder, tmp_path / name)
    assert not list(tmp_path.glob("it*"))
    tracked = {"tracking.enabled": True, "tracking.model": True, "tracking.uri": f"sqlite:///{tmp_path / 'm.db'}"}
    with pytest.raises(UsageError, match=r"tracking\.model.*makes images of noise.*take this key out"):
        gantk.run(folder / "recipe.toml", tracked, out=tmp_path / "runs", device="cpu", progress=QuietProgress())
    assert not list(tmp_path.glob("runs/*"))
    change = ['translators.teacher={generator={use="flow_unet", channels=4, levels=2}, residual="t1"}']
    with pytest.raises(GantkError, match="makes images of noise, so it cannot change an input"):
        gantk.dry_run(recipe, change)
