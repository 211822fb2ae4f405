"""Metrics with parameters, of regions and over all patients, in whole runs: what reaches the files on disk."""

import math
from pathlib import Path

import pytest

import gantk
from gantk.errors import RecipeError
from gantk.evaluation.results import Evaluation
from gantk.evaluation.weights import read_weights
from gantk.recipe import dump_recipe, load_recipe
from gantk.recipe.load import recipe_from_table
from gantk.testing import run_recipe, write_pictures

RECIPES = Path(__file__).parents[2] / "recipes"
PROBE = '{use="segmentation_probe", folds=2, steps=2, batch=4, channels=8}'
SMALL = ["data.crop=[32, 32]", "data.slices=all"] + [
    f"translators.a2b.{change}" for change in ("generator.channels=4", "generator.blocks=2", "discriminator.channels=4")
]


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))


def test_a_run_with_all_of_them(tmp_path: Path) -> None:
    metrics = f'["ssim", "nmse", {{use="ms_ssim", sigma=1.0}}, {{use="kid", weights="random", subsets=2}}, {PROBE}]'
    run = run_recipe(
        RECIPES / "ds3_published.toml",
        [
            "data.crop=[32, 32]",
            "data.slices=all",
            "translators.teacher.generator.channels=4",
            "translators.teacher.generator.blocks=9",
            "translators.teacher.discriminator.channels=4",
            f"evaluation.metrics={metrics}",
            'evaluation.regions=["image", "tumour", "tc", "et"]',
        ],
        folder=tmp_path,
    )
    found = Evaluation.read(run.folder / "evaluation")
    images = [f"{m}{r}" for r in ("", "_tumour", "_tc", "_et") for m in ("ssim", "nmse", "ms_ssim")]
    assert list(found.columns) == [*images, "kid", "dice_et", "dice_tc", "dice_wt"]
    summary = found.summary
    assert {"teacher", "student", "target:real", "target:none", "training_mean"} <= set(summary)
    for method in ("teacher", "student"):
        assert all(math.isfinite(summary[method][c].mean) for c in ("ssim_et", "nmse_tc", "ms_ssim", "kid", "dice_wt"))
    assert math.isnan(summary["target:real"]["ssim"].mean)
    head = (run.folder / "evaluation" / "patients.csv").read_text().splitlines()[0]
    assert head.endswith("kid,dice_et,dice_tc,dice_wt")
    weights = read_weights(run.folder / "evaluation")
    assert weights
    assert all(found.tumour > 0 and found.brain > 0 for found in weights)
    journal = (run.folder / "metrics.jsonl").read_text()
    assert "/nmse" in journal  # at validation, where those over all patients are not
    assert "/kid" not in journal
    again = load_recipe(run.folder / "recipe.toml")
    assert again.evaluation.measures["segmentation_probe"]["steps"] == 2


def test_unaligned_images_have_fid(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures", pairs=8, aligned=False)
    own = [f"data.root={pictures.as_posix()}", "evaluation.baselines=[]"]
    metrics = ['evaluation.metrics=["ssim", {use="fid", weights="random"}]']
    run = run_recipe(RECIPES / "images" / "cyclegan.toml", [*SMALL, *own, *metrics], cohort="own", folder=tmp_path)
    found = Evaluation.read(run.folder / "evaluation")
    assert list(found.columns) == ["fid"]
    (statistic,) = (values["fid"] for values in found.summary.values())
    assert statistic.mean > 0
    assert statistic.n == len({row.patient for row in found.rows}) > 1
    assert not (run.folder / "evaluation" / "weights.json").exists()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ('["ssim", {use="ms_sim"}]', "did you mean 'ms_ssim'"),
        ('[{use="segmentation_probe", step=3}]', "did you mean 'steps'"),
        ('[{use="segmentation_probe", channels=12}]', "multiple of 8"),
        ('[{use="segmentation_probe", folds=1}]', "greater than or equal to 2"),
        ('["ssim", 3]', "each metric must be a name, or a table"),
        ('[{net="alex"}]', "each metric must be a name, or a table"),
        ('["ssim", {use="ssim", sigma=3}]', "repeated"),
    ],
)
def test_a_wrong_metric_is_said_before_training(metrics: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        gantk.validate(RECIPES / "unet_l1.toml", [f"evaluation.metrics={metrics}"])


def test_names_stay_names() -> None:
    recipe = load_recipe(RECIPES / "unet_l1.toml", ['evaluation.metrics=["psnr", {use="ssim", sigma=2}]'])
    assert recipe.evaluation.measures == {"psnr": {}, "ssim": {"sigma": 2}}
    import tomllib

    table = tomllib.loads(dump_recipe(recipe))
    assert table["evaluation"]["metrics"] == ["psnr", {"use": "ssim", "sigma": 2}]
    assert recipe_from_table(table) == recipe
    assert gantk.dry_run(RECIPES / "unet_l1.toml")["evaluation"]["metrics"] == ["ssim", "psnr", "mse"]
