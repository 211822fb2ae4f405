"""The base of all datasets of picture files: finds pictures at a path, reads and writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gantk.data.cohort_table import PICTURES, is_table, read_table
from gantk.data.picture import Picture
from gantk.data.pixels import SUFFIXES, Pixels, can_hold, read_pixels, write_pixels
from gantk.data.volumes import Subject
from gantk.errors import DataError, UsageError
from gantk.ranges import Count

__all__ = ["Mode", "Pictures", "Size", "files_in"]

Mode = Literal["rgb", "grey"]
Size = tuple[Count, Count]


class Pictures:
    """Subjects whose images are pictures; a dataset adds the listing of subjects.

    Args:
        mode: the mode to which images are converted.
        size: height and width to which images are resized; default: those of the crop.
    """

    noun = "image"
    writes = (".png", ".tif", ".tiff")

    def __init__(self, mode: Mode, size: Size | None) -> None:
        self.mode, self.size = mode, size

    @property
    def channels(self) -> int:
        """Number of channels of one image."""
        return 3 if self.mode == "rgb" else 1

    @property
    def reading(self) -> dict[str, Any]:
        """The parameters that change what is read from a file."""
        return {"mode": self.mode, "size": self.size}

    def subject_at(self, path: Path, modalities: Sequence[str]) -> Subject:
        """The picture in one file, to be translated.

        Raises:
            DataError: the file does not exist or is not an image, or several modalities are requested.
        """
        path = Path(path).expanduser()
        if not path.is_file() or path.suffix.lower() not in SUFFIXES:
            raise DataError(
                "this is not an image" if path.exists() else "this file does not exist",
                where=path,
                mend=f"name a file that ends in {', '.join(SUFFIXES)}",
            )
        if len(modalities) != 1:
            raise DataError(
                f"this file holds one image; requested: {' and '.join(modalities) or 'nothing'}",
                where=path,
                mend="list the images in a table with one column for each modality",
            )
        return Subject(path.stem, {modalities[0]: path})

    @staticmethod
    def members(path: Path) -> Sequence[Path | Subject] | None:
        """The images in a folder, or the subjects of a table; None if the path is a single picture.

        Raises:
            DataError: the table cannot be read, or the folder contains no image.
        """
        path = Path(path).expanduser()
        if is_table(path):
            return read_table(path, PICTURES, complete=False)
        if not path.is_dir():
            return None
        files = list(files_in(path).values())
        if not files:
            raise DataError("this folder holds no image", where=path, why=f"images end in {', '.join(SUFFIXES)}")
        return files

    @staticmethod
    def named(source: Path, pixels: np.ndarray) -> str:
        """The name of a picture made from a file.

        The file's name, with the suffix of a format that can hold the picture.
        """
        suffixes = (source.suffix, *Pictures.writes)
        fitting = (suffix for suffix in suffixes if suffix.lower() in Pictures.writes and can_hold(suffix, pixels))
        return source.stem + next(fitting)

    def read(self, subject: Subject, modalities: Sequence[str], segmentation: bool = True) -> Picture:
        """The subject's pictures.

        Raises:
            DataError: a file cannot be read, or images of one subject have different sizes.
        """
        images: dict[str, np.ndarray] = {}
        found: dict[str, Pixels] = {}
        left_out: dict[str, str] = {}
        for name in modalities:
            path = subject.files[name]
            found[name] = read_pixels(path, self.mode)
            pixels, left_out[name] = self._shown(subject, name, found[name])
            images[name] = pixels.transpose(2, 0, 1).astype(np.float32)
            first = modalities[0]
            if images[name].shape != images[first].shape:
                (_, h, w), (_, H, W) = images[name].shape, images[first].shape
                raise DataError(
                    f"this image has {h} × {w} pixels, but {first!r} has {H} × {W}",
                    where=path,
                    why=f"{first!r} is {subject.files[first]}; the images of a subject must match pixel by pixel",
                    mend="resize them to the same size, or leave them out",
                )
        return Picture(
            images,
            {name: pixels.greatest for name, pixels in found.items()},
            self.size,
            dict(subject.files),
            {name: pixels.values.dtype.name for name, pixels in found.items()},
            left_out,
        )

    def _shown(self, subject: Subject, name: str, pixels: Pixels) -> tuple[np.ndarray, str]:
        """The pixels of a subject's image (H, W, C), and what the file contains but the pixels do not."""
        return pixels.values, pixels.left_out

    @staticmethod
    def write(path: Path, image: np.ndarray, like: Path) -> None:
        """Write the result of `Picture.restore` as PNG or TIFF without changing its numbers; atomic.

        Raises:
            UsageError: PNG cannot hold such numbers.
            OSError: the file cannot be written.
        """
        if not can_hold(path.suffix, image):
            raise UsageError(
                f"PNG cannot hold {image.dtype} numbers", where=path, mend="choose a name that ends in .tif or .tiff"
            )
        write_pixels(path, image)


def files_in(folder: Path) -> dict[str, Path]:
    """The images directly in a folder, by stem.

    Raises:
        DataError: two images have the same stem.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if path.stem in files:
            raise DataError(
                f"two images are called {path.stem!r}",
                where=folder,
                why=f"{files[path.stem].name} and {path.name}",
                mend="make a new folder with differently named links to the images, and set it as data.root",
            )
        files[path.stem] = path
    return files
