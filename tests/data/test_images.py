"""Natural images: their layouts, depths and colours, and the way through training to predicted files and back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import gantk
from gantk.data.cohort import by_target, split_cohort
from gantk.data.images import Images
from gantk.data.meaning import Meaning, decide_intensities
from gantk.data.normalisation import DARKEST
from gantk.data.pixels import read_pixels, write_pixels
from gantk.data.slices import SliceSettings
from gantk.data.store import prepare
from gantk.data.volumes import Subject
from gantk.errors import DataError, RecipeError, UsageError
from gantk.progress import QuietProgress
from gantk.recipe.data import IntensitySettings
from gantk.tables.compare import compare
from gantk.tables.paper import result_table
from gantk.testing.cohort import write_pictures
from gantk.training.best import best_checkpoint

QUIET = QuietProgress()
RNG = np.random.default_rng(0)
SETTINGS = SliceSettings(("a", "b"), None, (8, 12))


def noise(height: int = 8, width: int = 12, dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    """(H, W, 3) or (H, W) over the whole range, black and white among them."""
    shape = (height, width, channels)[: 2 + (channels == 3)]
    pixels = RNG.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    pixels[0, 0], pixels[-1, -1] = 0, np.iinfo(dtype).max
    return pixels


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pixels(path, pixels)
    return path


def shapes(side: str, number: int, size: int = 32) -> np.ndarray:
    """A coloured disc in front of a gradient; side b has the colours turned round."""
    y, x = np.mgrid[:size, :size] / size
    disc = np.hypot(y - 0.3 - 0.05 * (number % 8), x - 0.5) < 0.25
    pixels = np.where(disc[..., None], [230, 40, 40], np.stack([60 * y, 120 * x, 90 + 60 * y], -1))
    return (pixels if side == "a" else 255 - pixels).astype(np.uint8)


def halves(root: Path, count: tuple[int, int, int] = (4, 2, 2)) -> Path:
    for part, number in zip(("train", "val", "test"), count, strict=True):
        for n in range(number):
            save(root / part / f"{n}.png", np.concatenate([shapes("a", n), shapes("b", n)], axis=1))
    return root


def unaligned(root: Path, train: int = 5, test: int = 2) -> Path:
    for part, number in (("train", train), ("test", test)):
        for n in range(number):
            save(root / f"{part}A" / f"a{n}.png", shapes("a", n))
            save(root / f"{part}B" / f"b{n}.png", shapes("b", n + 3))
    return root


def scans(root: Path) -> Path:
    """Grey pictures and CT in Hounsfield units."""
    for part, number in (("train", 2), ("val", 1), ("test", 1)):
        for n in range(number):
            grey = shapes("a", n)[..., 0]
            save(root / part / "a" / f"{n}.png", grey)
            save(root / part / "b" / f"{n}.tif", grey.astype(np.int16) * 8 - 1000)
    return root


# --- slices -----------------------------------------------------------------------------------------------------


def test_black_is_foreground_and_the_way_back_is_exact(tmp_path: Path) -> None:
    for dtype, mode in ((np.uint8, "rgb"), (np.uint16, "grey")):
        pixels = noise(8, 12, dtype, 3 if mode == "rgb" else 1)
        path = save(tmp_path / f"{mode}.png", pixels)
        picture = Images(tmp_path, mode=mode).read(Subject("x", {"a": path}), ["a"])
        slices = picture.slices(["a"], SETTINGS)
        image = slices.images["a"]
        assert image.shape == (1, 3 if mode == "rgb" else 1, 8, 12)
        assert image.dtype == np.float32
        assert image.min() == np.float32(DARKEST)
        assert image.max() == 1
        assert slices.foreground.all()
        restored = picture.restore(image, ["a"], SETTINGS, slices, slices.scales["a"])
        assert restored.dtype == dtype
        assert abs(restored.astype(int) - pixels).max() <= (dtype == np.uint16)  # black alone, by one step
        np.testing.assert_array_equal(restored[pixels > 0], pixels[pixels > 0])


def test_the_store_holds_planes(tmp_path: Path) -> None:
    """Colours of a by colours of b, 16 bits a channel; another mode is prepared anew."""
    a, b = noise(dtype=np.uint16), noise(dtype=np.uint16)
    save(tmp_path / "a" / "x.png", a)
    save(tmp_path / "b" / "x.tif", b)

    def stored(**parameters: Any) -> Any:
        dataset = Images(tmp_path, **parameters)
        subjects = dataset.subjects(QUIET)
        return prepare(dataset, subjects, SETTINGS, ["a"], cache=tmp_path / "c", workers=1, progress=QUIET)["x"]

    patient = stored()
    assert patient.channels == 3
    assert patient.brain_area.tolist() == [8 * 12]
    assert not patient.has_segmentation
    images = patient.images([0], ["b", "a"])
    assert images.shape == (1, 6, 8, 12)
    codes = np.rint((images[0].astype(np.float64) + 1) * 32767.5).astype(int)
    np.testing.assert_array_equal(codes[:3], np.maximum(b, 1).transpose(2, 0, 1))
    np.testing.assert_array_equal(codes[3:], np.maximum(a, 1).transpose(2, 0, 1))
    assert stored(mode="grey").images([0], ["a", "b"]).shape == (1, 2, 8, 12)
    assert len(list((tmp_path / "c" / "slices").iterdir())) == 2


# --- numbers of any type ------------------------------------------------------------------------------------------


class Told(QuietProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.tasks: list[tuple[str, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def task(self, description: str, total: int) -> Any:
        self.tasks.append((description, total))
        return super().task(description, total)


def ranged(**ranges: tuple[float, float]) -> SliceSettings:
    return replace(SETTINGS, intensities={name: IntensitySettings(range=found) for name, found in ranges.items()})


def pair(root: Path, a: np.ndarray, b: np.ndarray) -> Images:
    for side, pixels in (("a", a), ("b", b)):
        save(root / side / f"x.{'png' if pixels.dtype == np.uint8 else 'tif'}", pixels)
    return Images(root, mode="grey")


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.int16, -1024, 3072), (np.float32, 0.25, 40), (np.uint16, 0, 4095), (np.int32, -70000, 70000)],
)
def test_numbers_come_back_in_their_type_and_range(tmp_path: Path, dtype: type, low: float, high: float) -> None:
    numbers = RNG.uniform(low, high, (8, 12)).astype(dtype)
    numbers[0, :2] = low, high
    dataset = pair(tmp_path, noise(channels=1), numbers)
    (subject,) = dataset.subjects(QUIET)
    settings = ranged(b=(low, high))
    store = prepare(dataset, [subject], settings, ["a"], cache=tmp_path / "c", workers=1, progress=QUIET)
    found = decide_intensities({name: [store["x"]] for name in "ab"}, ["a"], settings.intensities)
    meaning = Meaning.from_dict(json.loads(json.dumps(Meaning(found).to_dict())))
    image = store.meant(meaning)["x"].images([0], ["b"])
    assert image.min() == np.float32(DARKEST)
    assert image.max() == 1
    picture = dataset.read(subject, ["a"], segmentation=False)
    slices = meaning.normalised(picture.slices(["a"], settings))
    restored = picture.restore(image, ["a"], settings, slices, meaning.predicted("b", slices, ["a"]))
    assert restored.dtype == dtype
    step = 0.5 if np.dtype(dtype).kind in "iu" else 0
    np.testing.assert_allclose(restored, numbers, atol=(high - low) / 65535 + step)


def test_photographs_made_of_numbers_and_of_deeper_photographs(tmp_path: Path) -> None:
    """A target of 8 bits is 8 bits where the input is CT, and 16 where it is a photograph of 16."""
    dataset = pair(tmp_path, RNG.integers(-1000, 1000, (8, 12)).astype(np.int16), noise(channels=1))
    (subject,) = dataset.subjects(QUIET)
    settings = ranged(a=(-1000, 1000))
    store = prepare(dataset, [subject], settings, ["a"], cache=tmp_path / "c", workers=1, progress=QUIET)
    meaning = Meaning(decide_intensities({name: [store["x"]] for name in "ab"}, ["a"], settings.intensities))
    for pixels, given, kind in ((None, settings, "uint8"), (noise(dtype=np.uint16, channels=1), SETTINGS, "uint16")):
        if pixels is not None:
            save(tmp_path / "a" / "x.tif", pixels)
        slices = dataset.read(subject, ["a"]).slices(["a"], given)
        scale = meaning.predicted("b", slices, ["a"])
        assert (scale.type, scale.units) == (kind, (0, np.iinfo(kind).max))


def test_a_range_must_be_said_and_counts(tmp_path: Path) -> None:
    numbers = np.linspace(-1000, 5000, 96).reshape(8, 12).astype(np.int16)
    dataset = pair(tmp_path, noise(channels=1), numbers)
    subjects = dataset.subjects(QUIET)

    def stored(settings: SliceSettings, progress: QuietProgress = QUIET) -> Any:
        return prepare(dataset, subjects, settings, ["a"], cache=tmp_path / "c", workers=1, progress=progress)["x"]

    said = r"b.x\.tif.*int16 numbers, -1000 to 5000.*data\.intensities\.b\.range = \[-1000, 5000\]"
    with pytest.raises(DataError, match=said):
        stored(SETTINGS)
    told = Told()
    image = stored(ranged(b=(-1000, 3000)), told).images([0], ["b"])[0, 0]
    np.testing.assert_allclose(image, np.clip(numbers / 2000 - 0.5, DARKEST, 1), atol=2e-5)
    (note,) = told.notes
    assert re.search(
        r"outside data\.intensities\.b\.range = \[-1000, 3000\] are clipped.*-1000 to 5000 in .*x\.tif$", note
    )
    assert stored(ranged(b=(-1000, 5000))).images([0], ["b"]).max() == 1  # not what the cache has of another range
    with pytest.raises(DataError, match="range"):
        stored(SETTINGS)


def test_twelve_bits_are_the_whole_range_where_the_file_or_the_recipe_says_so(tmp_path: Path) -> None:
    numbers = noise(dtype=np.uint16, channels=1) // 16
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, numbers, bitspersample=12, metadata=None)
    image = Images(tmp_path, mode="grey").read(Subject("x", {"a": path}), ["a"]).slices(["a"], SETTINGS).images["a"]
    save(path, numbers)
    again = Images(tmp_path, mode="grey").read(Subject("x", {"a": path}), ["a"])
    np.testing.assert_array_equal(again.slices(["a"], ranged(a=(0, 4095))).images["a"], image)
    assert image.max() == 1
    assert again.slices(["a"], SETTINGS).images["a"].max() < -0.8


def test_what_is_left_out_is_said_once(tmp_path: Path) -> None:
    for n in range(3):
        clear = np.dstack([noise(), np.full((8, 12), 255 if n == 0 else 100, np.uint8)])
        for side in "ab":
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(clear if side == "a" else clear[..., :3]).save(tmp_path / side / f"{n}.png")
    dataset = Images(tmp_path)
    for _ in range(2):  # prepared, and found in the cache
        told = Told()
        subjects = dataset.subjects(QUIET)
        prepare(dataset, subjects, SETTINGS, ["a"], cache=tmp_path / "c", workers=1, progress=told)
        assert told.notes == [f"The transparency of images is left out: {tmp_path / 'a' / '1.png'}, and 1 more"]


# --- layouts ----------------------------------------------------------------------------------------------------


def ids(root: Path, **parameters: Any) -> list[tuple[str, str | None]]:
    return [(subject.id, subject.part) for subject in Images(root, **parameters).subjects(QUIET)]


def test_halves_of_one_file(tmp_path: Path) -> None:
    halves(tmp_path, (2, 1, 1))
    assert ids(tmp_path) == [
        ("test/0", "test"),
        ("train/0", "training"),
        ("train/1", "training"),
        ("val/0", "validation"),
    ]
    for left, first in (("a", "a"), ("b", "b")):
        dataset = Images(tmp_path, left=left)
        picture = dataset.read(dataset.subjects(QUIET)[0], ["a", "b"])
        assert picture.images["a"].shape == (3, 32, 32)
        np.testing.assert_array_equal(picture.images["a"], shapes(first, 0).transpose(2, 0, 1))
    save(tmp_path / "test" / "9.png", noise(8, 13))
    with pytest.raises(DataError, match="13 pixels wide"):
        dataset.read(dataset.subjects(QUIET)[1], ["a"])


@pytest.mark.parametrize("pattern", ["{side}/{part}", "{part}/{side}", "{part}{side}"])
def test_pairs_in_two_folders(tmp_path: Path, pattern: str) -> None:
    for part in ("train", "test"):
        for side in ("A", "B"):
            save(tmp_path / pattern.format(part=part, side=side) / f"{part}1.png", noise())
    found = Images(tmp_path, layout="folders").subjects(QUIET)
    assert [(s.id, s.part, sorted(s.files)) for s in found] == [
        ("test/test1", "test", ["a", "b"]),
        ("train/train1", "training", ["a", "b"]),
    ]
    automatic = Images(tmp_path).subjects(QUIET)
    assert len(automatic) == (4 if pattern == "{part}{side}" else 2)  # trainA and trainB are unaligned


def test_unaligned_images_keep_to_their_parts(tmp_path: Path) -> None:
    unaligned(tmp_path, train=10, test=3)
    subjects = Images(tmp_path).subjects(QUIET)
    both, sources, targets = by_target(subjects, ["a"], ["b"])
    assert (len(both), len(sources), len(targets)) == (0, 13, 13)
    parts = {subject.id: subject.part for subject in subjects if subject.part}
    split = split_cohort(both, sources, targets, parts=parts, seed=0, paired_fraction=1)
    assert sorted(split.test) == sorted(s.id for s in subjects if s.part == "test")
    assert len(split.validation) == 2  # one of each kind: there is no val folder
    assert (len(split.paired), len(split.unpaired), len(split.target)) == (0, 9, 9)
    assert all(name.startswith("trainB/") for name in split.target)
    everything = split_cohort(both, sources, targets, parts=parts, ratio=(1, 0, 0), seed=0, paired_fraction=1)
    assert (len(everything.unpaired), len(everything.target), len(everything.test)) == (10, 10, 6)
    assert everything.validation == ()


def test_parts_of_pairs_are_the_split_s(tmp_path: Path) -> None:
    subjects = Images(halves(tmp_path)).subjects(QUIET)
    parts = {subject.id: subject.part for subject in subjects if subject.part}
    split = split_cohort([s.id for s in subjects], [], parts=parts, seed=3, paired_fraction=0.5)
    assert split.validation == ("val/0", "val/1")
    assert split.test == ("test/0", "test/1")
    assert (len(split.paired), len(split.unpaired)) == (2, 2)


def spoil_empty(root: Path) -> None:
    (root / "train").mkdir()


def spoil_partner(root: Path) -> None:
    save(root / "a" / "1.png", noise())
    save(root / "b" / "2.png", noise())


def spoil_twice(root: Path) -> None:
    save(root / "train" / "1.png", noise())
    save(root / "train" / "1.tif", noise())


def spoil_several(root: Path) -> None:
    save(root / "train" / "1.png", noise())
    save(root / "trainA" / "1.png", noise())


def spoil_folders(root: Path) -> None:
    for name in ("trainA", "train/A"):
        save(root / name / "1.png", noise())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_empty, r"no known layout.*trainA/"),
        (spoil_partner, r"1\.png: this image has no partner.*no image '1' of the kind b.*unaligned"),
        (spoil_twice, "two images are called '1'"),
        (spoil_several, r"several layouts.*halves and unaligned.*data\.layout"),
        (spoil_folders, "two folders stand for trainA"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        Images(tmp_path).subjects(QUIET)
    assert "\n" not in str(caught.value)


def test_other_things_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        Images(tmp_path / "gone").subjects(QUIET)
    save(tmp_path / "a" / "1.png", noise(8, 12))
    save(tmp_path / "b" / "1.png", noise(8, 10))
    dataset = Images(tmp_path)
    (pair,) = dataset.subjects(QUIET)
    with pytest.raises(DataError, match="8 × 10 pixels, but 'a' 8 × 12"):
        dataset.read(pair, ["a", "b"])
    with pytest.raises(DataError, match=r"no images in the layout 'halves'"):
        Images(tmp_path, layout="halves").subjects(QUIET)
    with pytest.raises(DataError, match="this is no image"):
        dataset.subject_at(tmp_path, ["a"])
    with pytest.raises(DataError, match="a and c"):
        dataset.subject_at(tmp_path / "a" / "1.png", ["a", "c"])
    with pytest.raises(DataError, match="holds no image"):
        Images.members(tmp_path)


# --- from folders to predictions --------------------------------------------------------------------------------

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
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("gantk.api.cohort.os.cpu_count", lambda: 1)
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert page.count("is the way back") == 2


@pytest.mark.slow
def test_kinds_are_measured_after_epochs_without_pairs(trained: Callable[[str], gantk.RunResult]) -> None:
    result = trained("kid")
    losses = [json.loads(line)["metrics"] for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    values = [line["validation/a2b/kid"] for line in losses if "validation/a2b/kid" in line]
    assert len(values) == 2
    best = best_checkpoint(result.folder / "checkpoints")
    assert best is not None
    assert best.facts["best"] == {"metric": "a2b/kid", "value": min(values), "higher_is_better": False}
    assert result.summary["methods"]["a2b"]["kid"]["mean"] is not None
    with pytest.raises(RecipeError, match=r"'kid' is watched.*needs? no pairs|'ssim' is watched.*such as kid"):
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
    with pytest.raises(UsageError, match=r"end in \.png"):
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


@pytest.mark.slow
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
    assert told.notes == [f"The right half of images is left out: {model.dataset.root / 'test' / '0.png'}, and 1 more"]


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
    assert told.notes == [f"Translated at the pictures' own size; training saw them at 32 × 32 pixels: {path}"]
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
    assert told.notes == [f"The generator takes 32 × 32 pixels alone; what it makes is enlarged: {path}"]


def test_a_folder_is_not_written_to_a_file(trained: Callable[[str], gantk.RunResult], tmp_path: Path) -> None:
    model = gantk.load(trained("pix2pix").folder, device="cpu")
    save(tmp_path / "in" / "x.png", shapes("a", 0))
    (tmp_path / "there").write_text("a file")
    for name in ("one.png", "one.TIFF", "there"):
        with pytest.raises(UsageError, match=f"{name}.*name of one file"):
            gantk.predict_cohort(model, tmp_path / "in", tmp_path / name, progress=QUIET)
    with pytest.raises(UsageError, match="does not take the place"):
        gantk.predict_cohort(model, tmp_path / "in", tmp_path / "in", progress=QUIET)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "there"]


@pytest.mark.slow
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


def test_images_of_one_patient_by_their_names(tmp_path):
    root = write_pictures(tmp_path, 2)
    for part in ("train", "val", "test"):
        for path in sorted((root / part).iterdir()):
            path.rename(path.with_stem(f"P{path.stem}_slice"))
    owner = {s.id: s.patient for s in Images(root, patient="[^_]+").subjects(QuietProgress())}
    assert owner["train/P0_slice"] == owner["test/P0_slice"] == "P0"
    assert {s.id: s.patient for s in Images(root).subjects(QuietProgress())}["train/P0_slice"] == "train/P0_slice"
