"""Every shipped recipe trains: two steps of each stage on tiny patients, networks made small."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import gantk
from gantk.recipe import load_recipe
from gantk.testing import RecipeRun, run_recipe, write_pictures

pytest_plugins = ["gantk.testing.plugin"]

RECIPES = Path(__file__).parents[1] / "recipes"
TRAINED = sorted(path.relative_to(RECIPES).as_posix() for path in RECIPES.glob("*.toml"))
PICTURES = sorted(path.relative_to(RECIPES).as_posix() for path in RECIPES.glob("images/*.toml"))
VOLUMES = sorted(path.relative_to(RECIPES).as_posix() for path in RECIPES.glob("volumes/*.toml"))
EVERY = {path.relative_to(RECIPES).as_posix() for path in RECIPES.rglob("*.toml")}
REST = sorted(EVERY - {*TRAINED, *PICTURES, *VOLUMES})

SMALL = ["data.crop=[32, 32]", "data.slices=all", 'evaluation.metrics=["ssim"]', 'evaluation.regions=["image"]']
# What makes a recipe's networks small.
NETWORKS = {
    "cut": ["generator.generator.channels=4", "generator.generator.blocks=2", "generator.discriminator.channels=4"],
    "cyclegan": ["a2b.generator.channels=4", "a2b.generator.blocks=2", "a2b.discriminator.channels=4"],
    "diamondgan": [
        "forward.generator.channels=4",
        "forward.generator.blocks=2",
        "forward.discriminator.channels=4",
        "backward.generator.channels=4",
        "backward.generator.blocks=2",
        "backward.discriminator.channels=4",
    ],
    "ds3_published": ["teacher.generator.channels=4", "teacher.generator.blocks=5", "teacher.discriminator.channels=4"],
    "ds3_timm": [
        "first.generator.channels=2",
        "estimator.generator.channels=2",
        "teacher.generator.channels=2",
        "teacher.generator.backbone=mobilenetv3_small_050",
        "teacher.discriminator.channels=4",
    ],
    "flow_matching": ["generator.generator.channels=4", "generator.generator.steps=2"],
    "mean_teacher": ["student.generator.channels=4"],
    "medgan": ["generator.generator.channels=4", "generator.generator.levels=3", "generator.discriminator.channels=4"],
    "mmgan": ["generator.generator.channels=4", "generator.discriminator.channels=4"],
    "mustgan": [
        "t1_stream.generator.channels=4",
        "t1_stream.generator.blocks=2",
        "t1_stream.discriminator.channels=4",
        "fusion.generator.channels=4",
        "fusion.generator.blocks=2",
    ],
    "pgan": ["generator.generator.channels=4", "generator.generator.blocks=2", "generator.discriminator.channels=4"],
    "pix2pix": ["generator.generator.channels=4", "generator.discriminator.channels=4"],
    "munit": ["a2b.generator.channels=2", "a2b.discriminator.channels=2"],
    "pix2pixhd": [
        "generator.generator.channels=4",
        "generator.generator.blocks=2",
        "generator.discriminator.channels=4",
    ],
    "pix2pix_distilled": [
        "teacher.generator.channels=6",
        "student.generator.channels=4",
        "teacher.discriminator.channels=4",
    ],
    "reggan": ["generator.generator.channels=4", "generator.generator.blocks=2", "generator.discriminator.channels=4"],
    "resvit": [
        "generator.generator.channels=4",
        "generator.generator.hidden=8",
        "generator.generator.depth=1",
        "generator.generator.heads=2",
        "generator.discriminator.channels=4",
    ],
    "spade": [
        "generator.generator.channels=2",
        "generator.generator.hidden=4",
        "generator.discriminator.channels=4",
    ],
    "stargan": [
        "generator.generator.of.channels=4",
        "generator.generator.of.blocks=1",
        "generator.discriminator.channels=4",
        "generator.discriminator.levels=3",
    ],
    "unet_committee": ["teacher.generator.channels=4"],
    "unet_l1": ["generator.generator.channels=4"],
    "unet_residual": ["generator.generator.channels=4"],
}
NETWORKS |= {
    "cut_difficulty": NETWORKS["cut"],
    "ds3_paired_only": [change for change in NETWORKS["ds3_timm"] if change.startswith("teacher.")],
    "ds3_semi": NETWORKS["ds3_timm"],
    "fastcut": NETWORKS["cut"],
}
CROPS = dict.fromkeys(("ds3_paired_only", "ds3_semi", "ds3_timm"), "data.crop=[64, 64]")
HALVES = ["data.paired_fraction=0.5"]  # a patient for each of two parts
TERMS = {
    "ds3_semi": HALVES,
    "ds3_timm": HALVES,
    "medgan": ["losses.style.network=vgg11", "losses.content.network=vgg11"],
    "pgan": ["losses.perceptual.network=vgg11", "losses.perceptual.layers=['relu2_1']"],
    "unet_committee": HALVES,
}


def overrides(name: str) -> list[str]:
    networks = [f"translators.{change}" for change in NETWORKS[name]]
    return [*SMALL, *networks, *TERMS.get(name, []), *filter(None, [CROPS.get(name)])]


@pytest.mark.parametrize("recipe", TRAINED)
def test_recipe_trains(recipe: str, tmp_path: Path, gantk_cohort: Path) -> None:
    name = recipe.removesuffix(".toml")
    run = run_recipe(RECIPES / recipe, overrides(name), cohort=gantk_cohort, folder=tmp_path)
    check(run)


@pytest.mark.parametrize("recipe", PICTURES)
def test_recipe_trains_on_pictures(recipe: str, tmp_path: Path, gantk_cache: Path) -> None:
    name = Path(recipe).stem
    aligned = "paired" in load_recipe(RECIPES / recipe).data.batch
    pictures = write_pictures(tmp_path / "pictures", aligned=aligned)
    own = [f"data.root={pictures.as_posix()}", 'evaluation.baselines=["training_mean"]']
    run = run_recipe(RECIPES / recipe, [*overrides(name), *own], cohort="own", folder=tmp_path)
    check(run, measured=aligned)


PATCHES = ["data.patch=[16, 16, 16]", "data.spacing=[6.0, 3.0, 3.0]", "inference.overlap=0.1"]
OF_VOLUMES = {
    "volumes/ds3_semi.toml": [
        *SMALL,
        *HALVES,
        *(f"translators.{change}" for change in NETWORKS["ds3_published"]),
        "translators.first.generator.channels=2",
        "translators.first.generator.levels=2",
        "translators.estimator.generator.channels=2",
        "translators.estimator.generator.levels=2",
    ],
    "volumes/pix2pix.toml": [*SMALL, "translators.generator.discriminator.channels=4"],
    "volumes/unet_l1.toml": SMALL,
}


@pytest.mark.parametrize("recipe", VOLUMES)
def test_recipe_trains_on_volumes(recipe: str, tmp_path: Path, gantk_cohort: Path) -> None:
    run = run_recipe(RECIPES / recipe, [*OF_VOLUMES[recipe], *PATCHES], cohort=gantk_cohort, folder=tmp_path)
    check(run)
    assert "volume_ssim" in json.loads((run.folder / "evaluation" / "summary.json").read_text())["metrics"]


@pytest.mark.parametrize("recipe", REST)
def test_recipe_builds(recipe: str) -> None:
    smaller = ["data.patch=[32, 32, 32]"] if "volumes" in recipe else []  # a patch for a GPU takes long to build
    assert gantk.validate(RECIPES / recipe, smaller).losses


def check(run: RecipeRun, measured: bool = True) -> None:
    written = run.folder / "evaluation" / "summary.json"
    assert written.is_file() == measured
    if measured:
        methods = json.loads(written.read_text())["methods"]
        roles = set(load_recipe(run.folder / "recipe.toml").evaluated)
        assert roles
        assert all(math.isfinite(methods[role]["ssim"]["mean"]) for role in roles)
    gantk.load(run.folder, device="cpu")  # its checkpoint


def test_every_recipe_is_in_the_table() -> None:
    assert {Path(recipe).stem for recipe in (*TRAINED, *PICTURES)} == set(NETWORKS)


@pytest.mark.parametrize("name", TRAINED)
def test_own_data_need_two_keys_of_a_recipe(name: str) -> None:
    """A parameter of the phantom in the recipe would be an error with another dataset."""
    data = load_recipe(RECIPES / name).data
    assert data.dataset == "phantom"
    assert data.parameters == {}
