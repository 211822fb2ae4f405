"""Pictures that a table lists: read, split, trained on, translated by table, folder and file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import gantk
from gantk.cli.main import app
from gantk.data.image_table import ImageTable
from gantk.data.table import CohortTable
from gantk.errors import DataError
from gantk.progress import QuietProgress

QUIET = QuietProgress()
ROOT = Path(__file__).parents[2]


def pixels(seed: int, size: tuple[int, int] = (24, 28)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine scenes with two inputs and a target of 16 bits, listed by the command line."""
    root = tmp_path_factory.mktemp("scenes")
    for name in ("stain", "depth", "marker"):
        (root / "all" / name).mkdir(parents=True)
    for number in range(9):
        image = pixels(number)
        Image.fromarray(image).save(root / "all" / "stain" / f"S{number}.png")
        Image.fromarray(image[..., 0]).save(root / "all" / "depth" / f"S{number}.png")
        deep = (65535 - 257 * image[..., 1].astype(np.uint16)).astype(np.uint16)
        Image.fromarray(deep).save(root / "all" / "marker" / f"S{number}.tif")
    command = ["data", "table", str(root / "all"), "-o", str(root / "scenes.csv"), "--layout", "flat"]
    for name, end in (("stain", "png"), ("depth", "png"), ("marker", "tif")):
        command += ["--pattern", f"{name}={name}/{{patient}}.{end}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert 'dataset = "image_table"' in done.output
    return root


def test_the_table_names_inputs_targets_and_parts(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "c.TIF"):
        (tmp_path / name).touch()
    table = tmp_path / "t.csv"
    table.write_text("patient,visit,he,seg,ki67,part,site\nP,1,a.png,b.jpg,c.TIF,test,Oslo\nP,2,a.png,,,,Oslo\n")
    first, second = ImageTable(table).subjects(QUIET)
    assert (first.id, first.patient, first.part, first.facts) == ("P_1", "P", "test", {"site": "Oslo"})
    assert {name: file.name for name, file in first.files.items()} == {"he": "a.png", "seg": "b.jpg", "ki67": "c.TIF"}
    assert first.segmentation is None  # a label map is an image like others
    assert set(second.files) == {"he"}


@pytest.mark.parametrize(
    ("dataset", "cells", "mend"),
    [
        (CohortTable, "patient,a\nP,x.png\n", 'set data.dataset = "image_table"'),
        (ImageTable, "patient,a\nP,x.nii.gz\n", 'set data.dataset = "table"'),
        (ImageTable, "patient,a\nP,x.bmp\n", "add a column of files that end in .png"),
        (ImageTable, "patient,a\nP,x.png\nQ,y.gif\n", "name a file that ends in .png"),
        (ImageTable, "patient,a\nP,gone.png\n", "correct the path"),
    ],
)
def test_what_is_no_table_of_pictures_is_refused_with_a_mend(tmp_path, dataset, cells, mend) -> None:
    (tmp_path / "t.csv").write_text(cells)
    with pytest.raises(DataError, match=mend):
        dataset(tmp_path / "t.csv").subjects(QUIET)


@pytest.fixture(scope="module")
def run(scenes: Path) -> gantk.RunResult:
    recipe = scenes / "scenes.toml"
    recipe.write_text(f"""
extends = "{(ROOT / "recipes" / "images" / "pix2pix.toml").as_posix()}"
name = "scenes"
without = ["transforms.crop"]
[data]
dataset = "image_table"
file = "{(scenes / "scenes.csv").as_posix()}"
inputs = ["stain", "depth"]
target = "marker"
mode = "grey"
crop = [24, 28]
steps_per_epoch = 1
split = {{ ratio = [5, 2, 2] }}
[data.intensities.marker]
range = [0, 65535]
[translators.generator]
generator = {{ use = "unet", levels = 2, channels = 4 }}
discriminator = {{ use = "patchgan", layers = 1, channels = 4 }}
[schedule]
epochs = 1
decay_epochs = 0
[training]
validation_slices = 1
panel_slices = 1
[evaluation]
examples = 1
metrics = ["ssim"]
[tracking]
enabled = false
""")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gantk.report.html.write_report", lambda folder: folder / "report.html")
        return gantk.run(recipe, device="cpu", out=scenes / "runs", progress=QUIET)


@pytest.mark.slow
def test_a_run_of_a_table_predicts_a_table_with_metrics_and_the_targets_type(run, scenes, tmp_path) -> None:
    assert set(run.summary["methods"]) >= {"generator"}
    model = gantk.load(run.folder, device="cpu")
    result = gantk.predict_cohort(model, scenes / "scenes.csv", tmp_path / "made", progress=QUIET)
    assert [row.status for row in result.rows] == ["made"] * 9
    assert all(0 <= row.metrics["ssim"] <= 1 for row in result.rows)
    assert all(list(row.metrics) == ["ssim"] for row in result.rows)  # a picture has no background, and no brain
    made = np.asarray(Image.open(tmp_path / "made" / result.rows[0].file))
    assert (made.shape, made.dtype) == ((24, 28), np.uint16)  # as the target's files are


@pytest.mark.slow
def test_several_inputs_need_a_table(run, scenes, tmp_path) -> None:
    model = gantk.load(run.folder, device="cpu")
    with pytest.raises(DataError, match=r"stain and depth.*list the images in a table"):
        model.predict(scenes / "all" / "stain" / "S0.png", progress=QUIET)
    table = scenes / "one.csv"
    table.write_text("patient,stain,depth\nA,all/stain/S0.png,all/depth/S0.png\nB,all/stain/S1.png,gone.png\n")
    result = gantk.predict_cohort(model, table, tmp_path / "made", progress=QUIET)
    assert [row.status for row in result.rows] == ["made", "failed"]
    assert "gone.png" in result.failed[0].note
