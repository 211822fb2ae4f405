"""Recipes in the pages are valid, and code that is no file runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gantk

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_files: Callable[..., list[Path]]) -> Path:
    """A folder with the recipes of the page on recipes, and gantk's own."""
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    write_files(tmp_path, "recipes.md")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recipes_of_the_page_mean_what_it_says(folder: Path) -> None:
    read = {path.stem: gantk.validate(path) for path in folder.glob("*.toml")}
    assert set(read) == {"whole", "longer", "other_loss", "less", "there_and_back"}
    assert read["longer"].losses["pixelwise"].weight == 10
    assert read["longer"].losses["pixelwise"].map == "inside"
    assert read["other_loss"].losses["pixelwise"].use == "ssim"
    assert read["other_loss"].losses["pixelwise"].weight == 100
    assert set(read["less"].losses) == {"pixelwise"}
    assert read["less"].translators["generator"].discriminator is None
    back = read["there_and_back"].translators["b2a"]
    assert (back.takes, back.gives) == (["t1ce"], ["t1"])


def test_code_on_the_page_of_the_first_run(folder: Path, blocks: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = [b for b in blocks if b.page == "first-run.md" and b.language == "python"]
    exec(block.text, {})
    assert "['t1', 't2', 'flair'] ('t1ce',)" in capsys.readouterr().out


def test_code_that_predicts(tmp_path: Path, blocks: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    from gantk.testing import run_recipe, write_cohort

    patients = write_cohort(tmp_path / "patients")
    small = ["data.crop=[32, 32]", "translators.generator.generator.channels=4", "data.batch.paired=1"]
    run = run_recipe(ROOT / "recipes/unet_l1.toml", small, 1, cohort=patients, folder=tmp_path)
    (block,) = [b for b in blocks if b.page == "your-data.md" and b.language == "python"]
    exec(block.text.replace("PATIENT_DIR", str(patients / "P0")).replace('"RUN"', repr(str(run.folder))), {})
    assert capsys.readouterr().out.endswith("(30, 34, 8) ['generator']\n")


def test_hooks_that_the_page_names_exist(pages: dict[str, str]) -> None:
    from gantk.plugins import hookspecs

    named = set(re.findall(r"\b((?:before|after|on|register)_\w+)\b", pages["plugins.md"]))
    assert named
    named -= {"on_request", "register_buffer"}  # a key of transforms, and torch's
    assert {name for name in named if not hasattr(hookspecs, name)} == set()
