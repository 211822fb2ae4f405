"""Natural images: their layouts, the numbers that they hold, and what cannot be used."""

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
from PIL import Image

from gantk.data.cohort import by_target, split_cohort
from gantk.data.images import Images
from gantk.data.meaning import Meaning, decide_intensities
from gantk.data.normalisation import DARKEST
from gantk.data.slices import SliceSettings
from gantk.data.store import prepare
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.progress import QuietProgress
from gantk.recipe.data import IntensitySettings
from gantk.testing.cohort import write_pictures
from picture_sets import halves, noise, save, shapes, unaligned
from told import Told

QUIET = QuietProgress()
RNG = np.random.default_rng(0)
SETTINGS = SliceSettings(("a", "b"), None, (8, 12))


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
        assert told.notes == [f"The transparency of images is ignored: {tmp_path / 'a' / '1.png'}, and 1 more"]


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
        (spoil_folders, "two folders are trainA"),
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
    with pytest.raises(DataError, match="8 × 10 pixels, but 'a' has 8 × 12"):
        dataset.read(pair, ["a", "b"])
    with pytest.raises(DataError, match=r"no images in the layout 'halves'"):
        Images(tmp_path, layout="halves").subjects(QUIET)
    with pytest.raises(DataError, match="this is not an image"):
        dataset.subject_at(tmp_path, ["a"])
    with pytest.raises(DataError, match="a and c"):
        dataset.subject_at(tmp_path / "a" / "1.png", ["a", "c"])
    with pytest.raises(DataError, match="holds no image"):
        Images.members(tmp_path)


def test_images_of_one_patient_by_their_names(tmp_path):
    root = write_pictures(tmp_path, 2)
    for part in ("train", "val", "test"):
        for path in sorted((root / part).iterdir()):
            path.rename(path.with_stem(f"P{path.stem}_slice"))
    owner = {s.id: s.patient for s in Images(root, patient="[^_]+").subjects(QuietProgress())}
    assert owner["train/P0_slice"] == owner["test/P0_slice"] == "P0"
    assert {s.id: s.patient for s in Images(root).subjects(QuietProgress())}["train/P0_slice"] == "train/P0_slice"
