"""Volumes from patches to predictions: measured as slices and as a whole, translated in windows, and nothing lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gantk
from gantk.api.checks import build
from gantk.api.cohort import open_cohort
from gantk.api.inference import predictor
from gantk.errors import DataError, RecipeError
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import load_recipe
from gantk.testing import run_recipe, session
from gantk.training.state import TrainingState
from gantk.translation import View

QUIET = QuietProgress()
VOLUMES = ["data.dimensions=3", "data.patch=[8, 16, 16]", "data.patches=2", "inference.overlap=0.25"]


@pytest.fixture(scope="module")
def run(uninterrupted: Callable[[str], Path]) -> Path:
    return uninterrupted("volumes")


def test_slices_and_whole_volumes_are_measured(run: Path) -> None:
    summary = json.loads((run / "evaluation" / "summary.json").read_text())
    assert set(summary["metrics"]) == {"mse", "ssim", "volume_mse", "volume_ssim"}
    assert summary["metrics"]["volume_ssim"]["title"] == "SSIM 3D"
    for role in ("teacher", "student"):
        means = {name: found["mean"] for name, found in summary["methods"][role].items()}
        assert means["volume_mse"] == pytest.approx(means["mse"], rel=1e-5)  # all slices have as many pixels
        assert 0 < abs(means["volume_ssim"] - means["ssim"]) < 0.2
    weights = json.loads((run / "evaluation" / "weights.json").read_text())
    assert {"difficulty/teacher", "difficulty/student"} <= set(weights)
    assert 0 < weights["difficulty/teacher"]["brain"] < 1.5
    with np.load(run / "evaluation" / "examples.npz") as shown:
        assert shown["outputs/student"].shape == shown["target"].shape == (1, 32, 32)
        assert shown["weights/difficulty/student"].shape == (1, 32, 32)


def test_a_volume_is_translated_once_and_asked_for_by_slices(recipe: Path) -> None:
    loaded = load_recipe(recipe, VOLUMES)
    registry = load_plugins().registry
    assembly, scheduler = build(loaded, registry)
    cohort = open_cohort(loaded, registry, QUIET)
    state = TrainingState(loaded, assembly, scheduler, torch.device("cpu"))
    passes: Counter[tuple[int, ...]] = Counter()
    state.translators["student"].generator.register_forward_hook(
        lambda _, images, output: passes.update([tuple(images[0].shape[2:])])
    )
    predict = predictor(state, "student", cohort.loader)
    patient = cohort.split.test[0]
    groups = list(cohort.loader.patient(patient, 3))
    whole = torch.cat([predict(group) for group in groups])
    depth = len(cohort.store[patient])
    assert whole.shape == (depth, 1, 32, 32)
    assert set(passes) == {(8, 16, 16)}
    windows = passes.total()
    picked = cohort.loader.rows([(patient, depth - 1), (patient, 0)])
    assert torch.equal(predict(picked), whole[[-1, 0]])
    assert passes.total() == windows  # from the volume that was kept


class Given(nn.Module):
    """An input or a constant as it is."""

    def __init__(self, value: float | None) -> None:
        super().__init__()
        self.value = value

    def forward(self, image: Tensor, *_: Any, **__: Any) -> Tensor:
        return image[:, :1].clone() if self.value is None else torch.full_like(image[:, :1], self.value)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
@pytest.mark.parametrize("value", [None, 0.25])
def test_constant_and_identity_come_through_a_prediction(
    run: Path, cohort: Path, tmp_path: Path, overlap: float, value: float | None
) -> None:
    model = gantk.load(run, device="cpu")
    object.__setattr__(model.recipe.inference, "overlap", overlap)
    model.chains["student"].networks["student"] = Given(value)
    out = tmp_path / "made.nii.gz"
    made = model.predict(cohort / "P0", out, role="student", progress=QUIET)
    prepared = model.prepare(cohort / "P0", model_request())
    inside = prepared.slices.foreground
    translated = model.translate(prepared, QUIET)[:, 0]
    wanted = prepared.slices.images["t1"] if value is None else np.float32(value)
    np.testing.assert_allclose(translated[inside], np.broadcast_to(wanted, inside.shape)[inside], atol=1e-6)
    written, given = nib.load(out), nib.load(cohort / "P0" / "P0_t1.nii.gz")
    np.testing.assert_array_equal(written.affine, given.affine)
    np.testing.assert_array_equal(np.asarray(written.dataobj), made)  # the files are in LPS already
    assert made.shape == given.shape
    assert (made[~(np.asarray(given.dataobj) > 0)] == 0).all()


def model_request() -> Any:
    from gantk.api.preparing import Request

    return Request("student")


def test_flips_and_cohorts_are_predicted_and_measured(run: Path, cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("P0", "P1"):
        (tmp_path / "in" / name).symlink_to(cohort / name)
    made = gantk.predict_cohort(
        gantk.load(run, device="cpu"), tmp_path / "in", tmp_path / "out", flips=True, progress=QUIET
    )
    assert [row.status for row in made.rows] == ["made", "made"]
    assert all(0 < row.metrics["mse"] < 1 for row in made.rows)
    assert all(row.metrics["volume_mse"] == pytest.approx(row.metrics["mse"], rel=0.5) for row in made.rows)


def test_a_trained_run_is_evaluated_again_with_other_windows(run: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    before = json.loads((copy / "evaluation" / "summary.json").read_text())["methods"]["student"]["mse"]["mean"]
    found = gantk.evaluate(
        copy, ["inference.overlap=0.5", "inference.blend=median", "evaluation.volumes=false"], progress=QUIET
    )
    again = found.summary["methods"]["student"]["mse"]["mean"]
    assert again == pytest.approx(before, rel=0.3)
    assert again != before
    assert set(found.summary["metrics"]) == {"mse", "ssim"}


def test_slices_in_windows_are_measured_too(recipe: Path, tmp_path: Path) -> None:
    short = ["schedule.teacher_epochs=1", "schedule.joint_epochs=1", "data.steps_per_epoch=1"]
    run = gantk.run(recipe, [*short, "inference.window=[16, 20]"], out=tmp_path, device="cpu", progress=QUIET)
    model = gantk.load(run.folder, device="cpu")
    patient = next(iter(open_cohort(model.recipe, load_plugins().registry, QUIET).split.test))
    shapes: Counter[tuple[int, ...]] = Counter()
    model.translators["student"].generator.register_forward_hook(
        lambda _, images, output: shapes.update([tuple(images[0].shape[2:])])
    )
    root = Path(model.dataset.root) / patient
    assert model.predict(root, role="student", progress=QUIET).shape == nib.load(root / f"{patient}_t1.nii.gz").shape
    assert set(shapes) == {(16, 20)}


class Stranger:
    """The loss of a plugin that was written for slices and knows nothing of volumes."""

    def __call__(self, view: View) -> Tensor:
        error = (view.output - view.target).abs() * (1 + view.segmentation.gt(0))
        view.log("worst", error.amax())
        return error[view.foreground.expand_as(error)].mean()


def test_a_strangers_loss_of_slices_works_on_volumes_unchanged(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "recipes" / "volumes" / "unet_l1.toml"
    small = [
        "data.crop=[32, 32]",
        "data.patch=[8, 16, 16]",
        "data.spacing=[6.0, 3.0, 3.0]",
        "translators.generator.generator.channels=4",
        "losses.pixelwise.use=strange",
        'evaluation.metrics=["mse"]',
        'evaluation.regions=["image"]',
    ]
    run = run_recipe(shipped, small, steps=3, session=session(loss={"strange": Stranger}), folder=tmp_path)
    assert all(losses["generator/pixelwise.worst"] >= losses["generator/pixelwise"] > 0 for losses in run.losses)


def test_a_sampler_weighs_the_middles_of_patches(cohort: Path, tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "recipes" / "volumes" / "unet_l1.toml"
    table = {
        "extends": str(shipped),
        "without": ["data.core_fraction", "data.steps_per_epoch"],
        "data": {
            **{"crop": [32, 32], "patch": [8, 16, 16], "spacing": [6.0, 3.0, 3.0]},
            "sampler": {"use": "hard", "strength": 2.0},
        },
        "translators": {"generator": {"generator": {"channels": 4}}},
        "evaluation": {"metrics": ["mse"], "regions": ["image"]},
    }
    run = run_recipe(table, steps=2, folder=tmp_path)
    states = torch.load(next((run.folder / "checkpoints").iterdir()) / "state.pt", weights_only=True)
    assert states["sampler"]["fresh"] or states["sampler"]["known"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["data.dimensions=3"], "patch"),
        (["data.patch=[8, 16, 16]"], "dimensions = 3"),
        ([*VOLUMES, "data.plane=coronal"], "axial"),
        ([*VOLUMES, "data.neighbours=1"], "neighbours"),
        ([*VOLUMES, "inference.window=[16, 16]"], "slices, height and width"),
        (["inference.window=[8, 16, 16]"], "height and width"),
        (["data.patches=2"], "dimensions = 3"),
        (["data.spacing=[1.0, 2.0]"], "z, y and x"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(recipe: Path, changes: list[str], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        load_recipe(recipe, changes)


def test_a_window_that_the_network_does_not_take_is_refused(recipe: Path) -> None:
    loaded = load_recipe(recipe, [*VOLUMES, "inference.window=[8, 18, 16]"])
    with pytest.raises(RecipeError, match=r"does not take windows of 8 × 18 × 16") as raised:
        build(loaded, load_plugins().registry)
    assert "[8, 20, 16]" in str(raised.value)


def test_pictures_have_no_third_dimension(tmp_path: Path) -> None:
    from gantk.testing import write_pictures

    pictures = write_pictures(tmp_path, aligned=True)
    shipped = Path(__file__).parents[2] / "recipes" / "images" / "pix2pix.toml"
    changes = [f"data.root={pictures.as_posix()}", "data.crop=[32, 32]", *VOLUMES[:2]]
    with pytest.raises(DataError, match="third dimension") as raised:
        open_cohort(load_recipe(shipped, changes), load_plugins().registry, QUIET)
    assert "data.dimensions = 2" in str(raised.value)
