"""What all datasets of pictures share: pictures at a path, as arrays, and in files again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantk.data.pictures import Pictures, files_in
from gantk.data.volumes import Subject
from gantk.errors import DataError, UsageError
from picture_sets import noise, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two pictures and other files."""
    for name in ("b.png", "a.tif", ".hidden.png"):
        save(tmp_path / "in" / name, noise())
    (tmp_path / "in" / "notes.txt").touch()
    (tmp_path / "in" / "c.png").mkdir()
    return tmp_path / "in"


def test_pictures_of_a_folder_are_sorted_and_nothing_else_is_one(folder: Path) -> None:
    assert files_in(folder) == {"a": folder / "a.tif", "b": folder / "b.png"}
    assert Pictures.members(folder) == [folder / "a.tif", folder / "b.png"]
    assert Pictures.members(folder / "b.png") is None
    (folder / "b.jpg").touch()
    with pytest.raises(DataError, match=r"two images are called 'b'; b\.jpg and b\.png") as caught:
        files_in(folder)
    assert caught.value.where == str(folder)


def test_rows_of_a_table_are_subjects(folder: Path) -> None:
    (folder / "all.csv").write_text("patient,photo\none,b.png\n", encoding="utf-8")
    (subject,) = Pictures.members(folder / "all.csv")
    assert isinstance(subject, Subject)
    assert (subject.id, subject.files) == ("one", {"photo": folder / "b.png"})


def test_one_file_is_one_subject(folder: Path) -> None:
    pictures = Pictures("rgb", None)
    assert pictures.subject_at(folder / "b.png", ["photo"]) == Subject("b", {"photo": folder / "b.png"})
    for path, said in ((folder / "notes.txt", "this is not an image"), (folder / "gone.png", "does not exist")):
        with pytest.raises(DataError, match=rf"{said}.*\.png, \.jpg"):
            pictures.subject_at(path, ["photo"])
    with pytest.raises(DataError, match="this file holds one image; requested: photo and map"):
        pictures.subject_at(folder / "b.png", ["photo", "map"])


@pytest.mark.parametrize(("mode", "channels"), [("rgb", 3), ("grey", 1)])
def test_pictures_are_read_with_what_their_files_say(folder: Path, mode: str, channels: int) -> None:
    pictures = Pictures(mode, (4, 6))  # type: ignore[arg-type]
    assert (pictures.channels, pictures.reading) == (channels, {"mode": mode, "size": (4, 6)})
    deep = save(folder / "deep.png", noise(dtype=np.uint16, channels=channels))
    subject = Subject("x", {"a": folder / "b.png", "b": deep})
    read = pictures.read(subject, ["b", "a"])
    assert list(read.images) == ["b", "a"]
    assert {name: image.shape for name, image in read.images.items()} == dict.fromkeys("ab", (channels, 8, 12))
    assert read.greatest == {"a": 255, "b": 65535}
    assert read.types == {"a": "uint8", "b": "uint16"}
    assert read.size == (4, 6)


def test_pictures_of_one_subject_have_one_size(folder: Path) -> None:
    save(folder / "wide.png", noise(8, 14))
    subject = Subject("x", {"a": folder / "b.png", "b": folder / "wide.png"})
    with pytest.raises(DataError, match=r"this image has 8 × 14 pixels, but 'a' has 8 × 12.*b\.png") as caught:
        Pictures("rgb", None).read(subject, ["a", "b"])
    assert caught.value.where == str(folder / "wide.png")


def test_a_made_picture_is_named_after_its_source_in_a_format_that_holds_it() -> None:
    bytes_, numbers = np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.float32)
    assert Pictures.named(Path("x.png"), bytes_) == "x.png"
    assert Pictures.named(Path("x.jpg"), bytes_) == "x.png", "JPEG would change numbers"
    assert Pictures.named(Path("x.TIF"), bytes_) == "x.TIF"
    assert Pictures.named(Path("x.png"), numbers) == "x.tif"


def test_what_png_cannot_hold_is_refused_and_nothing_written(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"PNG cannot hold float32 numbers.*\.tif"):
        Pictures.write(folder / "made.png", np.zeros((2, 2), np.float32), folder / "b.png")
    assert not (folder / "made.png").exists()
    pixels = noise()
    Pictures.write(folder / "made.png", pixels, folder / "b.png")
    read = Pictures("rgb", None).read(Subject("x", {"a": folder / "made.png"}), ["a"])
    np.testing.assert_array_equal(read.images["a"], pixels.transpose(2, 0, 1))
