"""Pictures in whole runs: trained on, measured, drawn, predicted at their own size and depth, and called images."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import gantk
from gantk.data.cohort import by_target, split_cohort
from gantk.data.images import Images
from gantk.data.pixels import read_pixels
from gantk.errors import DataError, RecipeError, UsageError
from gantk.progress import QuietProgress
from gantk.tables.compare import compare
from gantk.tables.paper import result_table
from gantk.training.best import best_checkpoint
from picture_sets import halves, noise, save, scans, shapes, unaligned
from told import Told

QUIET = QuietProgress()

TINY = [
    "data.crop=[32,32]",
    "data.steps_per_epoch=2",
    "schedule.epochs=2",
    "schedule.decay_epochs=1",
    "evaluation.examples=2",
    "tracking.enabled=false",
]

SMALL = {
    "pix2pix": ["translators.generator.generator.levels=3", "translators.generator.generator.channels=4"],
    "cyclegan": ["translators.a2b.generator.channels=4", "translators.a2b.generator.blocks=1"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, recipes: Path) -> Callable[[str], gantk.RunResult]:
    """Runs of the shipped recipes on tiny sets, each made once."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("images")
    data = {
        "pix2pix": halves(folder / "pairs"),
        "cyclegan": unaligned(folder / "kinds"),
        "two": halves(folder / "two", (2, 0, 0)),
        "ct": scans(folder / "ct"),
    }
    data["kid"] = data["cyclegan"]
    more = {
        "two": ["data.split=none"],
        "kid": [
            "evaluation.metrics=[{ use = 'kid', weights = 'random' }]",
            "training.keep_best={ metric = 'kid', role = 'a2b' }",
            "data.split.ratio=[1, 1, 1]",
        ],
        "ct": [
            "data.mode=grey",
            "data.intensities.b.range=[-1024, 3072]",
            "evaluation.baselines=[]",
            "evaluation.metrics=['mae', 'mae_unit']",
        ],
    }
    made: dict[str, gantk.RunResult] = {}

    def run(name: str) -> gantk.RunResult:
        if name not in made:
            like = name if name in SMALL else "cyclegan" if name == "kid" else "pix2pix"
            changes = [
                f"data.root={data[name].as_posix()}",
                "data.left=a",
                *TINY,
                *SMALL[like],
                *more.get(name, []),
            ]
            path = recipes / "images" / f"{like}.toml"
            made[name] = gantk.run(path, changes, device="cpu", out=folder / "runs", progress=QUIET)
        return made[name]

    yield run
    torch.set_num_threads(threads)


def test_pairs_train_are_measured_and_drawn_in_colour(trained: Callable[[str], gantk.RunResult]) -> None:
    result = trained("pix2pix")
    assert list(result.summary["methods"]) == ["generator", "input:a", "training_mean"]
    assert {column["region"] for column in result.summary["metrics"].values()} == {"image"}
    lines = (result.folder / "evaluation" / "patients.csv").read_text().splitlines()
    assert sorted({line.split(",")[0] for line in lines[1:]}) == ["test/0", "test/1"]
    with np.load(result.folder / "evaluation" / "examples.npz") as shown:
        assert shown["target"].shape == shown["inputs/a"].shape == (2, 32, 32, 3)
        assert list(shown["titles"]) == ["test/0", "test/1"]
        np.testing.assert_allclose(shown["target"][0], shapes("b", 0) / 127.5 - 1, atol=1e-4)
    (panel,) = sorted((result.folder / "panels" / "validation").iterdir())[:1]
    pixels = np.asarray(Image.open(panel)).astype(int)
    assert abs(pixels[..., 0] - pixels[..., 2]).max() > 150  # red is not grey
    page = result.report.read_text(encoding="utf-8")
    assert "2 test images" in page
    assert "yellow box" not in page


def test_kinds_train_and_are_drawn_without_a_table(trained: Callable[[str], gantk.RunResult]) -> None:
    result = trained("cyclegan")
    assert result.summary == {}
    files = ["examples.npz", "target_examples.npz"]
    assert sorted(p.name for p in (result.folder / "evaluation").iterdir()) == files
    assert sorted((result.folder / "panels" / "validation").iterdir())
    with np.load(result.folder / "evaluation" / "examples.npz") as shown:
        assert "target" not in shown.files
        assert [name for name in shown.files if "outputs" in name] == ["outputs/a2b", "outputs/b2a(a2b)"]
        assert shown["outputs/a2b"].shape == shown["outputs/b2a(a2b)"].shape == (2, 32, 32, 3)
        assert list(shown["titles"]) == ["testA/a0", "testA/a1"]
    with np.load(result.folder / "evaluation" / "target_examples.npz") as shown:
        assert [name for name in shown.files if "outputs" in name] == ["outputs/b2a", "outputs/a2b(b2a)"]
        np.testing.assert_allclose(shown["inputs/b"][0], shapes("b", 3) / 127.5 - 1, atol=1e-4)
        assert not np.array_equal(shown["outputs/b2a"], shown["outputs/a2b(b2a)"])
    losses = [json.loads(line)["metrics"] for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    assert "train/b2a/cycle_b" in losses[0]
    assert not any(name.startswith("validation") for line in losses for name in line)
    page = result.report.read_text(encoding="utf-8")
    assert 'id="results"' not in page
    assert "no target to compare with" in page
    assert page.count("shows the translation back") == 2


def test_kinds_are_measured_after_epochs_without_pairs(trained: Callable[[str], gantk.RunResult]) -> None:
    result = trained("kid")
    losses = [json.loads(line)["metrics"] for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    values = [line["validation/a2b/kid"] for line in losses if "validation/a2b/kid" in line]
    assert len(values) == 2
    best = best_checkpoint(result.folder / "checkpoints")
    assert best is not None
    assert best.facts["best"] == {"metric": "a2b/kid", "value": min(values), "higher_is_better": False}
    assert result.summary["methods"]["a2b"]["kid"]["mean"] is not None
    with pytest.raises(RecipeError, match=r"'kid' is monitored.*needs? no pairs|'ssim' is monitored.*such as kid"):
        gantk.dry_run(result.folder / "recipe.toml", ["training.keep_best.metric=ssim", "evaluation.metrics=['ssim']"])


def test_prediction_has_the_picture_s_size_and_depth(trained: Callable[[str], gantk.RunResult], tmp_path: Path) -> None:
    model = gantk.load(trained("pix2pix").folder, device="cpu")
    same = shapes("a", 1)
    expected = model.predict(save(tmp_path / "in" / "same.png", same), tmp_path / "same.png", progress=QUIET)
    assert expected.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "same.png")), expected)
    deep = save(tmp_path / "in" / "deep.tif", same.astype(np.uint16) * 257)
    found = model.predict(deep, tmp_path / "deep.tif", progress=QUIET)
    np.testing.assert_array_equal(read_pixels(tmp_path / "deep.tif", "rgb").values, found)
    assert found.dtype == np.uint16
    assert abs(found / 257 - expected).max() < 0.6  # the same picture, in finer steps
    assert len(np.unique(found % 257)) > 50
    Image.fromarray(noise(50, 37)).save(tmp_path / "in" / "odd.jpg")
    rows = gantk.predict_cohort(model, tmp_path / "in", tmp_path / "out", progress=QUIET).rows
    assert [row.file for row in rows] == ["deep.tif", "odd.png", "same.png"]
    assert Image.open(tmp_path / "out" / "odd.png").size == (37, 50)
    with pytest.raises(UsageError, match=r"ends in \.png"):
        model.predict(deep, tmp_path / "x.nii.gz")
    with pytest.raises(DataError, match="does not exist"):
        model.predict(tmp_path / "gone.png", tmp_path / "x.png")


def test_either_direction_predicts(trained: Callable[[str], gantk.RunResult], tmp_path: Path) -> None:
    model = gantk.load(trained("cyclegan").folder, device="cpu")
    path = save(tmp_path / "x.png", shapes("b", 0))
    there, back = (model.predict(path, role=role, progress=QUIET) for role in ("a2b", "b2a"))
    assert there.shape == back.shape == (32, 32, 3)
    assert not np.array_equal(there, back)
    with pytest.raises(UsageError, match="does not give 'a'"):
        model.predict(path, role="a2b", target="a")


def test_numbers_are_predicted_as_numbers(trained: Callable[[str], gantk.RunResult], tmp_path: Path) -> None:
    errors = trained("ct").summary["methods"]["generator"]
    assert errors["mae_unit"]["mean"] == pytest.approx(4096 * errors["mae"]["mean"], rel=1e-5)
    model = gantk.load(trained("ct").folder, device="cpu")
    path = save(tmp_path / "in" / "x.png", shapes("a", 0)[..., 0])
    expected = model.predict(path, tmp_path / "x.tif", progress=QUIET)
    assert expected.dtype == np.int16
    assert expected.min() >= -1024
    assert expected.max() > 255  # beyond what a photograph can be
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "x.tif"), expected)
    with pytest.raises(UsageError, match=r"PNG cannot hold int16 numbers.*\.tif"):
        model.predict(path, tmp_path / "x.png", progress=QUIET)
    assert [
        row.file for row in gantk.predict_cohort(model, tmp_path / "in", tmp_path / "out", progress=QUIET).rows
    ] == ["x.tif"]


def test_a_pair_of_the_data_set_is_predicted_by_its_input(
    trained: Callable[[str], gantk.RunResult], tmp_path: Path
) -> None:
    model = gantk.load(trained("pix2pix").folder, device="cpu")
    told = Told()
    made = gantk.predict_cohort(model, Path(model.dataset.root) / "test", tmp_path / "out", progress=told)
    assert [row.file for row in made.rows] == ["0.png", "1.png"]
    single = save(tmp_path / "single.png", shapes("a", 1))
    np.testing.assert_array_equal(
        read_pixels(made.folder / "1.png", "rgb").values, model.predict(single, progress=QUIET)
    )
    assert told.tasks == [("Synthesizing", 2)]  # not one for each picture
    assert told.notes == [f"The right half of images is ignored: {model.dataset.root / 'test' / '0.png'}, and 1 more"]


def test_a_picture_is_translated_at_its_own_size_or_the_one_that_is_named(
    trained: Callable[[str], gantk.RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = gantk.load(trained("pix2pix").folder, device="cpu")
    generator = model.translators["generator"].generator
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    given: list[tuple[int, ...]] = []
    hook = generator.register_forward_pre_hook(lambda _, arguments: given.append(tuple(arguments[0].shape[-2:])))
    path, told = save(tmp_path / "in" / "x.png", noise(50, 37)), Told()
    own = model.predict(path, progress=told)
    assert given.pop() == (56, 40)  # multiples of 8, after three levels
    assert told.notes == [f"Pictures are translated at their own size; training used 32 × 32 pixels: {path}"]
    named = model.predict(path, progress=QUIET, size=(32, 32))
    assert given.pop() == (32, 32)
    assert own.shape == named.shape == (50, 37, 3)
    detail = [abs(np.diff(image.astype(float), axis=0)).mean() for image in (own, named)]
    assert detail[0] > 1.5 * detail[1]
    small = model.predict(save(tmp_path / "small.png", noise(16, 20)), progress=QUIET)
    assert (small.shape, given.pop()) == ((16, 20, 3), (32, 40))  # as large as the crop
    monkeypatch.setattr("gantk.data.stacks.WINDOW", 40)
    given.clear()
    model = gantk.load(trained("pix2pix").folder, device="cpu")
    model.chains["generator"].networks["generator"] = generator
    windows = model.predict(path, progress=QUIET)
    hook.remove()
    assert given[-2:] == [(40, 40)] * 2
    assert windows.shape == (50, 37, 3)


def test_a_generator_of_one_size_gets_it_and_this_is_said(
    trained: Callable[[str], gantk.RunResult], tmp_path: Path
) -> None:
    model, told = gantk.load(trained("pix2pix").folder, device="cpu"), Told()

    class One(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.flatten(1).reshape(-1, 3, 32, 32)  # fails where there are more pixels

    model.chains["generator"].networks["generator"] = One()
    path = save(tmp_path / "x.png", noise(50, 37))
    assert model.predict(path, progress=told).shape == (50, 37, 3)
    assert told.notes == [f"The generator accepts 32 × 32 pixels only; its output is enlarged: {path}"]


def test_a_folder_is_not_written_to_a_file(trained: Callable[[str], gantk.RunResult], tmp_path: Path) -> None:
    model = gantk.load(trained("pix2pix").folder, device="cpu")
    save(tmp_path / "in" / "x.png", shapes("a", 0))
    (tmp_path / "there").write_text("a file")
    for name in ("one.png", "one.TIFF", "there"):
        with pytest.raises(UsageError, match=f"{name}.*name of a file"):
            gantk.predict_cohort(model, tmp_path / "in", tmp_path / name, progress=QUIET)
    with pytest.raises(UsageError, match="never replaces a file"):
        gantk.predict_cohort(model, tmp_path / "in", tmp_path / "in", progress=QUIET)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "there"]


def test_nothing_held_out_is_trained_on_measured_on_and_said(trained: Callable[[str], gantk.RunResult]) -> None:
    result = trained("two")
    assert result.summary["subjects"] == {"noun": "image", "trained_on": True, "size": [32, 32], "left_out": []}
    lines = (result.folder / "evaluation" / "patients.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {"train/0", "train/1"}
    losses = [json.loads(line)["metrics"] for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    assert any(name.startswith("validation/") for line in losses for name in line)
    text = re.sub(r"<[^>]*>", "", result.report.read_text(encoding="utf-8"))
    assert "Measured on the training images: nothing was held out." in text
    assert "over 2 training images" in text
    assert "Training examples" in text
    again = gantk.run(resume=result.folder, device="cpu", progress=QUIET)
    assert again.summary == result.summary
    (grid,) = compare([result.folder]).grids()
    assert grid.title.startswith("Mean ± standard deviation over training images")
    assert "Measured on the training images" in result_table([result.folder]).caption


def test_pictures_are_no_patients(trained: Callable[[str], gantk.RunResult], tmp_path: Path) -> None:
    result = trained("pix2pix")
    page = re.sub(r"(?s)<(script|style|details).*?</\1>|<[^>]*>", "", result.report.read_text(encoding="utf-8"))
    assert "atient" not in page
    table = result_table([result.folder], reference="baseline/training_mean")
    assert "2 test images" in table.caption
    told = [table.caption, *table.notes, *(grid.title for grid in table.grids())]
    tests = table.significance_grid()
    assert tests is not None
    told += [tests.caption, *tests.notes, *(cell.text for part in tests.sections for row in part for cell in row)]
    found = compare([result.folder])
    differences = found.significance_grid()
    assert differences is not None
    told += [found.grids()[0].title, differences.caption, *differences.notes]
    assert not [text for text in told if "atient" in text]
    few = Images(halves(tmp_path, (2, 0, 0)))
    named = by_target(few.subjects(QUIET), ["a"], ["b"], few.noun)
    with pytest.raises(DataError, match=r"at least 3 images.*has 2.*add images.*data\.split = \"none\""):
        split_cohort(*named, seed=0, paired_fraction=1, noun=few.noun)
