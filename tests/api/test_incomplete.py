"""Patients who lack inputs: trained on, measured and translated by methods that were made to do without."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gantk
from gantk.errors import DataError
from gantk.progress import QuietProgress
from gantk.report.methods import describe
from gantk.tables.run import run_table

ROOT = Path(__file__).parents[2]
RECIPE = """
extends = "{extends}"
name = "holes"

[data]
dataset = "brats"
root = "{root}"
inputs = ["t1", "t2", "t1ce"]
target = ["t1", "t2", "t1ce"]
spacing = 3.0
crop = [32, 32]
steps_per_epoch = 4
batch = {{ paired = 2 }}
incomplete = true
split = {{ ratio = [5, 2, 3] }}

[transforms.dropout]
curriculum = []

[translators.generator.generator]
use = "unet"
levels = 2
channels = 4

[translators.generator.discriminator]
use = "modality_patchgan"
layers = 1
channels = 4

[schedule]
epochs = 2

[training]
panels_every = 100
validation_slices = 4

[evaluation]
examples = 1
regions = ["image"]

[tracking]
enabled = false
"""
HOLES = {0: ("t1", "t1ce"), 1: ("t2", "t1ce"), 2: ("t2", "t1ce"), 3: ("t1", "t1ce"), 4: ("t2", "t1ce"), 5: ("t1",)}


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory, make_patient: Any) -> Path:
    """A recipe whose patients all lack something."""
    folder = tmp_path_factory.mktemp("holes")
    for number in range(9):
        make_patient(folder / "patients" / f"P{number}", number, HOLES.get(number, ("t1", "t1ce")))
    path = folder / "holes.toml"
    extends = (ROOT / "recipes" / "mmgan.toml").as_posix()
    path.write_text(RECIPE.format(extends=extends, root=(folder / "patients").as_posix()))
    return path


@pytest.fixture(scope="module")
def run(holes: Path) -> gantk.RunResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gantk.report.html.write_report", lambda folder: folder / "report.html")
        return gantk.run(holes, device="cpu", out=holes.parent / "runs", progress=QuietProgress())


def test_they_are_trained_on_and_measured(run: gantk.RunResult) -> None:
    counts = {line["role"]: 0 for line in csv.DictReader((run.folder / "split.csv").open())}
    assert set(counts) == {"paired", "unpaired", "validation", "test"}
    assert math.isfinite(run.summary["methods"]["generator"]["ssim"]["mean"])
    rows = list(csv.DictReader((run.folder / "evaluation" / "patients.csv").open()))
    for row in rows:
        number = int(row["patient"].removeprefix("P"))
        lacking = row["method"] == "input:t1" and "t1" not in HOLES.get(number, ("t1", "t1ce"))
        assert (row["ssim"] == "") == lacking
    assert "validation/generator/ssim" in (run.folder / "metrics.jsonl").read_text()


def test_they_are_translated(run: gantk.RunResult, tmp_path: Path, make_patient: Any) -> None:
    model = gantk.load(run.folder, device="cpu")
    with_all = make_patient(tmp_path / "all" / "N", 50, ("t1", "t2"))
    with_one = make_patient(tmp_path / "one" / "N", 50, ("t1",))
    first, second = (model.predict(folder, progress=QuietProgress()) for folder in (with_all, with_one))
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
    # the requested image is not read
    whole = make_patient(tmp_path / "whole" / "N", 50, ("t1", "t2", "t1ce"))
    np.testing.assert_array_equal(model.predict(whole, progress=QuietProgress()), first)
    wanted = model.predict(whole, target="t2", progress=QuietProgress())
    (whole / "N_t2.nii.gz").unlink()
    np.testing.assert_array_equal(model.predict(whole, target="t2", progress=QuietProgress()), wanted)
    alone = make_patient(tmp_path / "alone" / "N", 50, ("t1ce",))
    with pytest.raises(DataError, match=r"no image that 't1ce' can be made from.*add one of t1, t2"):
        model.predict(alone, progress=QuietProgress())


def test_without_the_key_they_are_refused_and_it_is_named(holes: Path) -> None:
    with pytest.raises(DataError, match=r"no patient has the target.*data\.incomplete = true"):
        gantk.dry_run(holes, ["data.incomplete=false"])
    other = holes.with_name("other.toml")
    other.write_text(
        f'extends = "{(ROOT / "recipes" / "unet_l1.toml").as_posix()}"\n'
        f'[data]\ndataset = "brats"\nroot = "{(holes.parent / "patients").as_posix()}"\n'
        'inputs = ["t1", "t2"]\ncrop = [32, 32]\n'
        "[translators.generator]\ngenerator = { levels = 3 }\n"
    )
    with pytest.raises(DataError, match=r"has no 't.' image.*data\.incomplete = true"):
        gantk.dry_run(other)


def test_who_is_left_out_is_counted_wherever_the_run_is_told(tmp_path: Path, make_patient: Any) -> None:
    for number in range(8):
        have = ("t1", "t1ce") if number == 3 else ("t1", "t2", "t1ce")
        make_patient(tmp_path / "patients" / f"P{number}", number, have)
    (tmp_path / "skip.toml").write_text(f"""
extends = "{(ROOT / "recipes" / "unet_l1.toml").as_posix()}"
name = "skip"
[data]
dataset = "brats"
root = "{(tmp_path / "patients").as_posix()}"
inputs = ["t1", "t2"]
spacing = 3.0
crop = [32, 32]
steps_per_epoch = 1
batch = {{ paired = 2 }}
incomplete = "skip"
split = {{ ratio = [4, 1, 2] }}
[translators.generator]
generator = {{ levels = 2, channels = 4 }}
[schedule]
epochs = 1
decay_epochs = 0
[training]
validation_slices = 2
[evaluation]
examples = 1
regions = ["image"]
metrics = ["ssim"]
[tracking]
enabled = false
""")
    result = gantk.run(tmp_path / "skip.toml", device="cpu", out=tmp_path / "runs", progress=QuietProgress())
    assert result.summary["subjects"]["left_out"] == ["P3"]
    assert "1 patient lacks an input and was left out: P3." in result.report.read_text()
    assert run_table(result.folder).caption == "1 patient lacks an input and was left out."
    assert "7 patients were used" in describe(result.folder).paragraphs["Data"]
    assert "1 patient lacks an input and was left out." in describe(result.folder).paragraphs["Data"]
