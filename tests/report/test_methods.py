"""The methods paragraph says what the run's folder records, and cites what the run used and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import tomli_w

from gantk.data.split import Split
from gantk.errors import EvaluationError
from gantk.evaluation.results import Column, Evaluation, Row
from gantk.recipe import dump_recipe, load_recipe
from gantk.report.methods import _preprocessing, describe


@pytest.fixture
def run(tmp_path: Path, recipes: Path) -> Path:
    changes = ["data.spacing=1.5", "losses.pixelwise.weight=42.0", "run.seed=7", 'evaluation.metrics=["psnr"]']
    (tmp_path / "recipe.toml").write_text(dump_recipe(load_recipe(recipes / "pix2pix.toml", changes)))
    Split(("a", "b"), (), ("c",), ("d", "e")).to_csv(tmp_path / "split.csv")
    (tmp_path / "environment.json").write_text(json.dumps({"python": "3.11.9", "packages": {"torch": "2.7.0"}}))
    (tmp_path / "status.json").write_text(json.dumps({"state": "finished", "step": 1234, "seconds": 61.0}))
    rows = [Row(patient, "generator", 3, {"psnr_tumour": 20.0}) for patient in ("d", "e")]
    Evaluation("s", "e", {"psnr_tumour": Column("PSNR", "tumour", True)}, rows).write(tmp_path / "evaluation")
    return tmp_path


def test_the_paragraphs_say_what_was_done(run: Path) -> None:
    said = describe(run).paragraphs
    assert "t1ce was synthesized from t1, t2 and flair" in said["Data"]
    assert (
        "5 patients were used: 2 for training with inputs and target, 1 for validation and 2 for testing"
        in said["Data"]
    )
    assert "resampled to 1.5 mm in plane" in said["Preprocessing"]
    assert "generator unet (" in said["Networks"]
    assert "weight 42" in said["Training"]
    assert "seed 7" in said["Training"]
    assert "training took 1,234 steps in 1 min 01 s" in said["Training"]
    assert "PSNR were measured on tumour of 2 test patients" in said["Evaluation"]
    assert said["Software"] == "Python 3.11.9, torch 2.7.0."


def test_what_training_began_with_and_how_batches_were_changed_is_said(run: Path, recipes: Path) -> None:
    changes = [
        'translators.teacher.weights = { source = "/runs/OLD:teacher", shared = true, sha256 = "' + "ab" * 32 + '" }'
    ]
    table = tomllib.loads(dump_recipe(load_recipe(recipes / "ds3_semi.toml", changes)))
    table["parent"] = {"run": "BEFORE", "step": 1000}
    (run / "recipe.toml").write_text(tomli_w.dumps(table))
    said = describe(run).paragraphs
    assert "initialized with the weights of OLD:teacher (SHA-256 abababababab…), as far as they fit" in said["Networks"]
    assert said["Networks"].count("initialized with") == 2  # the student is like the teacher
    assert "training took 234 steps in 1 min 01 s, after 1,000 steps of the run BEFORE" in said["Training"]
    assert (
        "randomly transformed by flip, affine (degrees 10, scale 0.1, shift 0.03) and input_jitter" in said["Training"]
    )
    assert "evaluated weights are an exponential moving average with decay 0.98" in said["Training"]
    assert "(l2 on teacher, weight 400, map difficulty)" in said["Training"]
    assert "Weight maps: difficulty (background 0.2" in said["Training"]


def test_volumes_and_their_patches_are_said(run: Path, recipes: Path) -> None:
    (run / "recipe.toml").write_text(dump_recipe(load_recipe(recipes / "volumes/unet_l1.toml")))
    said = describe(run).paragraphs
    assert "axial slices were resampled to 4 mm along all axes" in said["Preprocessing"]
    assert "Each step used 2 paired patches" in said["Training"]


def test_what_was_used_is_cited_once_and_nothing_else(run: Path) -> None:
    cited = describe(run).bibtex
    for key in ("gantk", "paszke2019pytorch", "isola2017pix2pix"):
        assert cited.count(f"{{{key},") == 1
    assert "wang2004ssim" not in cited  # no SSIM was measured
    assert "huang2022ds3net" not in cited
    assert "keywords" not in cited


def test_every_entry_names_components_that_there_are(registry: object) -> None:
    import re

    from gantk.plugins.kinds import KINDS
    from gantk.report.methods import ALWAYS, _bibliographies

    known = {f"{kind}:{name}" for kind in KINDS for name in registry.names(kind)} | {ALWAYS}  # type: ignore[attr-defined]
    files = _bibliographies()
    assert len(files) == 3
    for file in files:
        for keywords in re.findall(r"keywords\s*=\s*\{(.*?)\}", file.read_text(encoding="utf-8")):
            assert {word.strip() for word in keywords.split(",")} <= known


def test_text_and_bibtex_and_what_is_no_run(run: Path, tmp_path: Path) -> None:
    found = describe(run)
    assert found.text.startswith("Data. ")
    assert found.bibtex.startswith("@")
    with pytest.raises(EvaluationError, match="not the folder of a run"):
        describe(tmp_path / "evaluation")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"plane": "coronal"},
            "coronal slices were resampled to 1.5 mm in plane and cropped or padded",
        ),
        ({"spacing": None}, "axial slices were cropped or padded"),
        ({"resample": "to:t1"}, "images on other grids were resampled to that of t1; axial slices"),
        ({"neighbours": 1}, "pixels, with 1 slice on each side as additional channels."),
        ({"neighbours": 2}, "pixels, with 2 slices on each side as additional channels."),
        (
            {"dimensions": 3, "patch": [32, 48, 40], "spacing": [3.0, 1.0, 1.0]},
            "resampled to 3 × 1 × 1 mm along z, y and x and cropped or padded to 96 × 80 pixels "
            "and stacked to volumes; training used patches of 32 × 48 × 40 voxels",
        ),
    ],
)
def test_preprocessing_is_that_of_the_recipe(changes: dict[str, object], said: str) -> None:
    data = {"dataset": "brats", "crop": [96, 80], "spacing": 1.5, **changes}
    assert said in _preprocessing({"data": data}, "patient")
    pictures = {"data": {"dataset": "image_table", "crop": [64, 32]}}
    assert "64 × 32" in _preprocessing(pictures, "image")
    assert "Volumes" not in _preprocessing(pictures, "patient")  # not evaluated yet


def test_every_keyword_of_the_bibliographies_names_a_component(registry) -> None:
    root = Path(__file__).parents[2]
    for file in (root / "gantk" / "references.bib", *root.glob("plugins/*/references.bib")):
        entries = re.findall(r"^@\w+\{.*?^\}", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        assert entries
        for entry in entries:
            (keywords,) = re.findall(r"keywords\s*=\s*\{(.*?)\}", entry)
            for kind, _, name in (word.strip().partition(":") for word in keywords.split(",")):
                assert kind == "always" or name in registry.names(kind), f"{file.name}: {kind}:{name}"
            if "@software" not in entry:
                assert re.search(r"^\s*year\s*=\s*\{\d{4}\}", entry, re.MULTILINE)
